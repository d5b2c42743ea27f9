"""Lines of the plain-text formats: lists of cameras, of poses, and result files."""

import codecs
import dataclasses
import pathlib
from collections.abc import Callable, Container, Iterable, Iterator

import numpy as np

from localize.geometry.poses import nearest_rotation, pose_from_numbers, qvec_from_rotation
from localize.io.files import write_bytes
from localize.io.priors import parse_prior, prior_fields
from localize.types import CAMERA_MODELS, Camera, Image, InputError, Pose, Prior, check_regular
from localize.types.priors import DOWN


def read_text(path: pathlib.Path) -> str:
    """The file's text, a byte order mark left out; InputError if it is missing or no UTF-8 (UTF-16 with its mark)."""
    check_regular(path)
    try:
        data = pathlib.Path(path).read_bytes()
        wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # as Windows' shell writes it
        return data.decode("utf-16" if wide else "utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as e:
        raise InputError(f"file {path} is missing") from e
    except UnicodeDecodeError as e:
        raise InputError(f"file {path} is not a text file in UTF-8 ({e.reason} at byte {e.start})") from e


def read_lines(path: pathlib.Path, names: Container[str] = ()) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of the lines that are neither blank nor comments.

    A line whose first word begins with # is a comment, unless that word is one of the names.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        fields = line.split()
        if fields and (not fields[0].startswith("#") or fields[0] in names):
            yield number, fields


def parse_camera(fields: list[str]) -> Camera:
    """Camera from `MODEL width height params...` in COLMAP's order; ValueError says what is wrong."""
    if len(fields) < 4:
        raise ValueError("no intrinsics: expected `name MODEL width height params...`")
    return Camera(fields[0], *map(_whole_px, fields[1:3]), np.array(fields[3:], np.float64))


def _whole_px(field: str) -> int:
    """A number of pixels, also where it is written as 640.0."""
    if not float(field).is_integer():
        raise ValueError(f"the size {field} is no whole number of pixels")
    return int(float(field))


def blank_in(words: list[str]) -> str:
    """What is wrong with a name of several words."""
    return f"{' '.join(words)!r} has a blank in its name, which result files cannot hold: rename it"


def read_query_list(
    path: pathlib.Path,
    problems: list[str],
    gravity_in_world=DOWN,
    *,
    camera_of: Callable[[str], tuple[Camera, Prior]] | None = None,
    names: Container[str] = (),
) -> list[Image]:
    """Images from lines `name MODEL width height params...`; lines that cannot be used go to `problems`.

    Behind the parameters a line may say what is known of the photo, `key=value` each, see `localize/io/priors.py`.
    camera_of: makes the camera of a name, where a line has none, or `auto`; None: such lines are no use. names: of
    photos that are there, for `read_lines`.
    """
    images = []
    for number, fields in read_lines(path, names):
        numbers = next((i for i, field in enumerate(fields) if i and "=" in field), len(fields))
        words = _words_of_name(fields[:numbers], names)
        if words > 1:
            problems.append(f"{path}:{number}: query {blank_in(fields[:words])}")
            continue
        try:
            prior = parse_prior(fields[numbers:], gravity_in_world)
            if camera_of is not None and fields[1:numbers] in ([], ["auto"]):
                camera, guessed = camera_of(fields[0])
                prior = guessed if prior is None else dataclasses.replace(prior, focal=guessed.focal)
            else:
                camera = parse_camera(fields[1:numbers])
            images.append(Image(fields[0], camera, prior=prior))
        except ValueError as e:
            problems.append(f"{path}:{number}: query {fields[0]}: {e}")
    return images


def _words_of_name(fields: list[str], names: Container[str]) -> int:
    """How many words stand before the camera of a query list's line, which is a name with blanks if they are more."""
    model = next((i for i, field in enumerate(fields) if i and field in (*CAMERA_MODELS, "auto")), None)
    if model is None:
        return len(fields) if len(fields) > 1 and " ".join(fields) in names else 1
    return model


def write_query_list(path: pathlib.Path, images: Iterable[Image]) -> None:
    """Write `name MODEL width height params...` and the image's prior per line, whole or not at all."""
    write_text(path, "".join(map(query_line, images)))


def query_line(image: Image) -> str:
    """The line of an image in such a list."""
    c, params = image.camera, " ".join(repr(float(p)) for p in image.camera.params)
    return f"{_one_word(image.name)} {c.model} {c.width} {c.height} {params}{prior_fields(image.prior)}\n"


def read_poses(path: pathlib.Path, problems: list[str], names: Container[str] = ()) -> dict[str, Pose]:
    """cam_from_world by name from lines `name qw qx qy qz tx ty tz`; bad lines go to `problems`.

    names: that are expected, for `read_lines`. A name with blanks, which no query has, may be there of other photos.
    """
    poses = {}
    for number, fields in read_lines(path, names):
        if len(fields) > 8 and not _is_number(fields[1]):
            fields[:-7] = [" ".join(fields[:-7])]
        try:
            if len(fields) != 8:
                raise ValueError(f"{len(fields)} fields, but expected 8: name qw qx qy qz tx ty tz")
            if fields[0] in poses:
                raise ValueError("this name was listed before")
            poses[fields[0]] = pose_from_numbers(fields[1:])
        except ValueError as e:
            problems.append(f"{path}:{number}: pose of {fields[0]}: {e}")
    return poses


def write_poses(path: pathlib.Path, poses: dict[str, Pose]) -> None:
    """Write `name qw qx qy qz tx ty tz` (cam_from_world) per pose, whole or not at all."""
    lines = []
    for name, pose in poses.items():
        _one_word(name)
        numbers = np.concatenate([qvec_from_rotation(pose.rotation), pose.translation])
        lines.append(name + " " + " ".join(repr(float(v)) for v in numbers) + "\n")
    write_text(path, "".join(lines))


def read_pairs(path: pathlib.Path, names: Container[str] = ()) -> Iterator[tuple[int, str, str]]:
    """(line number, first name, second name) of a list of image pairs; InputError for a line of another form.

    A score may follow, and is not read; kapture's form `first, second, score` is one too. names: for `read_lines`.
    """
    for number, fields in read_lines(path, names):
        parts = [part.strip() for part in " ".join(fields).split(",")]
        found = parts if len(parts) == 3 and _is_number(parts[2]) else fields
        if len(found) == 3 and _is_number(found[2]):
            found = found[:2]
        if len(found) != 2:
            raise InputError(
                f"{path}:{number}: {len(found)} fields, but expected 2 or 3: query and reference, whose names hold no "
                "blanks, and a score, if there is one"
            )
        yield number, *found


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def write_pairs(path: pathlib.Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Write `first second` per pair."""
    write_text(path, "".join(f"{_one_word(first)} {_one_word(second)}\n" for first, second in pairs))


def _one_word(name: str) -> str:
    if len(name.split()) != 1:
        raise InputError(f"image {blank_in([name])}")
    return name


def write_text(path: pathlib.Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_bytes(path, text.encode())


def read_strecha_camera(path: pathlib.Path) -> tuple[Camera, Pose]:
    """Camera and pose of one `.camera` file of Strecha et al. (CVPR 2008).

    Eight lines: K (3 x 3), a row of distortion (zeros), the rotation camera -> world (3 x 3), the centre in metres,
    and width height. The principal point is taken as published. ValueError if the file has another shape or NaN.
    """
    rows = [fields for _, fields in read_lines(path)]
    if [len(r) for r in rows] != [3, 3, 3, 3, 3, 3, 3, 3, 2]:
        raise ValueError(
            "expected 3 rows of K, 1 of distortion, 3 of rotation, 1 of centre (3 numbers each), width height"
        )
    values = np.array([v for row in rows[:8] for v in row], np.float64).reshape(8, 3)
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite numbers")
    K, R, center = values[:3], nearest_rotation(values[4:7].T), values[7]
    if np.abs(R - values[4:7].T).max() > 1e-3:
        raise ValueError("rows 5 to 7 are not a rotation matrix")
    width, height = map(_whole_px, rows[8])
    return Camera("PINHOLE", width, height, [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]), Pose(R, -R @ center)
