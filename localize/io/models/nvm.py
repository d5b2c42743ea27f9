"""3D models in VisualSFM's format NVM_V3 as COLMAP wrote it, the form in which Aachen and RobotCar Seasons come.

A camera line is `name f qw qx qy qz x y z r 0` with the centre x y z and r = -k of COLMAP's SIMPLE_RADIAL; a point line
is `X Y Z R G B n` and n times `image feature x y`. Pixels count from the upper-left corner of the picture, as in COLMAP
(files of VisualSFM itself count from its middle). Colours are not kept.
"""

import os
import pathlib

import numpy as np

from localize.geometry.poses import check_qvec, qvec_from_rotation, rotation_from_qvec
from localize.io.files import whole_file
from localize.io.number_rows import Rows, open_input, read_rows
from localize.types import InputError, Pose, SourceModel, repeated_names

_CAMERA = "name f qw qx qy qz x y z r 0"
_INT32_MAX = 2**31 - 1


def read_nvm(path: pathlib.Path, problems: list[str]) -> SourceModel:
    """The first model of an NVM file; repeated names and further models go to `problems`.

    Names stay as they are in the file. InputError, naming the line, where the file cannot be read on.
    """
    path = pathlib.Path(path)
    with open_input(path) as file:
        names, numbers, line = _read_images(file, path, problems)
        line, count = _count(file, path, line, "points")
        size = os.fstat(file.fileno()).st_size - file.tell()
        if count > size // 14:  # the shortest line is `0 0 0 0 0 0 0`
            raise InputError(f"{path}:{line}: {count} points do not fit into the {size} bytes that follow: {_CUT}")
        points, lengths, observations, line = _read_points(file, path, line, count, len(names))
        _check_tail(file, path, line, count, problems)
    rotations = np.array([rotation_from_qvec(q) for q in numbers[:, 1:5]]).reshape(-1, 3, 3)
    translations = -np.einsum("nij,nj->ni", rotations, numbers[:, 5:8])
    indptr = np.zeros(count + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    poses = rotations, translations
    try:
        return SourceModel(names, numbers[:, 0], 0.0 - numbers[:, 8], *poses, points, indptr, *observations)
    except ValueError as e:  # such as a place in a photo that no float32 holds
        raise InputError(f"{path} holds no model ({e}): copy it again") from e


def read_nvm_images(path: pathlib.Path, problems: list[str]) -> list[tuple[str, float, float, Pose]]:
    """(name, focal length px, radial distortion in COLMAP's sign, pose) of the images; the points are not read."""
    path = pathlib.Path(path)
    with open_input(path) as file:
        names, numbers, _ = _read_images(file, path, problems)
    images = []
    for name, row in zip(names, numbers, strict=True):
        R = rotation_from_qvec(row[1:5])
        images.append((name, float(row[0]), float(0.0 - row[8]), Pose(R, -R @ row[5:8])))
    return images


def _read_images(file, path: pathlib.Path, problems: list[str]) -> tuple[tuple[str, ...], np.ndarray, int]:
    """Names, (I, 9) numbers as in the file, and the last line read."""
    line, fields = _next_line(file, path, 0)
    if fields[0].removeprefix("\ufeff") != "NVM_V3":
        raise InputError(f"{path}:{line}: this is no NVM file: expected NVM_V3, but found {fields[0][:40]!r}")
    line, cameras = _count(file, path, line, "cameras")
    line, names, numbers = _read_cameras(file, path, line, cameras)
    problems += [f"{path}: {p}" for p in repeated_names(names)]
    return names, numbers, line


_CUT = "the count may be wrong or the file cut off; copy it again"


def _next_line(file, path: pathlib.Path, line: int) -> tuple[int, list[str]]:
    """Number and fields of the next line that is neither blank nor a comment."""
    for text in iter(lambda: file.readline(1 << 16), b""):
        line += 1
        try:
            fields = text.decode().split()
        except UnicodeDecodeError as e:
            raise InputError(f"{path}:{line}: this is no text in UTF-8 ({e.reason})") from e
        if fields and fields[0][0] != "#":
            return line, fields
    raise InputError(f"{path}:{line}: the file ends here, too early: it may be cut off; copy it again")


def _count(file, path: pathlib.Path, line: int, what: str) -> tuple[int, int]:
    """The line and its content, the number of cameras or points."""
    line, fields = _next_line(file, path, line)
    if len(fields) != 1 or not fields[0].isascii() or not fields[0].isdigit():
        shown = " ".join(fields)[:60]
        before = ": there may be more cameras than announced" if len(fields) == 11 else ""
        raise InputError(f"{path}:{line}: expected the number of {what} alone, but found {shown!r}{before}")
    return line, int(fields[0])


def _read_cameras(file, path: pathlib.Path, line: int, count: int) -> tuple[int, tuple[str, ...], np.ndarray]:
    """The last line read, names, and (count, 9) f, quaternion, centre, r; InputError with all that are bad."""
    names, numbers, bad = [], [], []
    for i in range(1, count + 1):
        line, fields = _next_line(file, path, line)
        if len(fields) != 11:
            why = f"it has {len(fields)} fields, but expected 11 ({_CAMERA}); {_CUT}"
            if len(fields) > 11:
                why = f"the name {' '.join(fields[:-10])[:200]!r} seems to hold a blank: rename the image ({_CAMERA})"
            raise InputError(*bad, f"{path}:{line}: camera {i} of {count}: {why}")
        try:
            values = np.array(fields[1:10], np.float64)
            if not np.isfinite(values).all() or values[0] <= 0 or not np.abs(values[1:5]).max() > 1e-9:
                raise ValueError("numbers must be finite, the focal length positive and the quaternion not 0")
            check_qvec(values[1:5])
        except ValueError as e:
            bad.append(f"{path}:{line}: camera {i} of {count} ({fields[0]}): {e}")
            continue
        names.append(fields[0])
        numbers.append(values)
    if bad:
        raise InputError(*bad)
    return line, tuple(names), np.array(numbers).reshape(-1, 9)


def _read_points(file, path: pathlib.Path, line: int, count: int, num_images: int):
    """Points (count, 3), observations of each (count,), their image, keypoint and xy, and the line that follows."""
    points, lengths = np.empty((count, 3)), np.empty(count, np.int64)
    parts = image, keypoint, xy = [], [], []
    done, line = 0, line + 1
    for rows in read_rows(file, path, line, count):
        line = rows.next_line
        if len(rows):
            n = _observation_counts(rows, path, done, count)
            points[done : done + len(rows)], lengths[done : done + len(rows)] = rows.columns(0, 3), n
            found = rows.rest(7).reshape(-1, 4)
            _check_observations(found, n, rows, path, done, num_images)
            image.append(found[:, 0].astype(np.int32))
            keypoint.append(found[:, 1].astype(np.int32))
            xy.append(found[:, 2:].astype(np.float32))
            done += len(rows)
    if done < count:
        raise InputError(f"{path}:{line}: the file ends after point {done} of {count}: {_CUT}")
    observations = []
    for part, shape, dtype in zip(parts, ((0,), (0,), (0, 2)), (np.int32, np.int32, np.float32), strict=True):
        observations.append(np.concatenate([np.empty(shape, dtype), *part]))
        part.clear()  # so that at most one array exists twice
    return points, lengths, observations, line


def _observation_counts(rows: Rows, path: pathlib.Path, done: int, count: int) -> np.ndarray:
    """How many observations each point line has, (R,) int64; InputError at the first whose length does not fit."""
    n = np.where(rows.length >= 7, rows.values[np.minimum(rows.start + 6, len(rows.values) - 1)], -1.0)
    bad = np.flatnonzero((n < 0) | (rows.length != 7 + 4 * n))
    if len(bad):
        i = bad[0]
        raise InputError(
            f"{path}:{rows.line[i]}: point {done + i + 1} of {count} has {rows.length[i]} numbers, but expected "
            f"X Y Z R G B n and 4 for each of {f'its {n[i]:.0f}' if n[i] >= 0 else 'the n'} observations; {_CUT}"
        )
    return n.astype(np.int64)


def _check_observations(found, n, rows: Rows, path: pathlib.Path, done: int, num_images: int) -> None:
    """InputError at the first observation (M, 4) of an image that is not there, or of a feature that cannot be."""
    index = found[:, :2]
    bad = (index < 0) | (index > (num_images - 1, _INT32_MAX)) | (index != np.floor(index))
    if bad.any():
        k = int(np.argmax(bad.any(1)))
        i = int(np.searchsorted(np.cumsum(n), k, "right"))
        raise InputError(
            f"{path}:{rows.line[i]}: point {done + i + 1} is seen in image {found[k, 0]:.15g} at feature "
            f"{found[k, 1]:.15g}, but images are numbered 0 to {num_images - 1} and features from 0"
        )


def _check_tail(file, path: pathlib.Path, line: int, count: int, problems: list[str]) -> None:
    """What follows the points: nothing, or 0 and what VisualSFM keeps behind it, which is not read."""
    for text in iter(lambda: file.readline(1 << 16), b""):
        fields = text.split()
        if fields and not fields[0].startswith(b"#"):
            if len(fields) == 1 and fields[0].isdigit():
                if int(fields[0]):
                    problems.append(
                        f"{path}:{line}: another model begins here; the models of one file share no frame, so only "
                        "the first was read: give each its own file"
                    )
            else:
                shown = text[:60].decode("utf-8", "replace").strip()
                raise InputError(f"{path}:{line}: {count} points are announced, but after them follows {shown!r}")
            return
        line += 1


def write_nvm(path: pathlib.Path, model: SourceModel) -> None:
    """Write a model as NVM that reads back the same to rounding, whole or not at all; colours are black.

    InputError if a name holds white space.
    """
    path = pathlib.Path(path)
    bad = [name for name in model.names if len(name.split()) != 1]
    if bad:
        raise InputError(f"image name {bad[0]!r} cannot be written to {path}: names in NVM hold no blanks")
    centers = -np.einsum("nji,nj->ni", model.rotations, model.translations)
    with whole_file(path) as partial, open(partial, "w", encoding="utf-8") as f:
        f.write(f"NVM_V3\n\n{len(model.names)}\n")
        for i, name in enumerate(model.names):
            q = qvec_from_rotation(model.rotations[i]).tolist()
            values = [model.focal_px[i].item(), *q, *centers[i].tolist(), 0.0 - model.radial[i].item()]
            f.write(f"{name} {' '.join(map(repr, values))} 0\n")
        f.write(f"\n{len(model.points)}\n")
        for first in range(0, len(model.points), 1000):
            f.write(_point_lines(model, first, min(first + 1000, len(model.points))))
        f.write("\n0\n")


def _point_lines(model: SourceModel, first: int, stop: int) -> str:
    """The lines of points first to stop; 9 digits hold a float32."""
    start = model.indptr[first]
    at = slice(start, model.indptr[stop])
    rows = zip(model.image[at].tolist(), model.keypoint[at].tolist(), *model.xy[at].T.tolist(), strict=True)
    seen = [f"{image} {keypoint} {x:.9g} {y:.9g}" for image, keypoint, x, y in rows]
    ends = (model.indptr[first : stop + 1] - start).tolist()
    return "".join(
        f"{x!r} {y!r} {z!r} 0 0 0 {b - a} {' '.join(seen[a:b])}\n"
        for (x, y, z), a, b in zip(model.points[first:stop].tolist(), ends[:-1], ends[1:], strict=True)
    )
