"""Cameras and poses of Bundler's files (Snavely et al. 2006, Bundler User's Manual v0.4): bundle.out and list.txt.

After `# Bundle file v0.3` and `cameras points` come five lines per camera: `f k1 k2`, the rotation R in three rows, t.
P = R X + t, where the camera looks along -z and y points up; p = -P / P.z, and f (1 + k1 |p|^2 + k2 |p|^4) p are pixels
from the middle of the photo. That is COLMAP's RADIAL, and its pose with the second and third row of R and t negated.
The world stays as it is. A camera that was not found is all zeros. The points are not read.
"""

import pathlib

import numpy as np

from localize.geometry.poses import nearest_rotation
from localize.io.text import read_lines
from localize.types import InputError, Pose, repeated_names

ENDING = ".out"
_AXES = np.array([1.0, -1.0, -1.0])
_MOST_OFF = 1e-3  # of a number of R from the nearest rotation: the files have few digits


def read_bundler_images(path: pathlib.Path, problems: list[str]) -> list[tuple[str, float, tuple, Pose]]:
    """(name, focal length px, (k1, k2), pose) of the cameras that were found; what is bad goes to `problems`.

    InputError where the file, or its list of names, is missing or cannot be read on.
    """
    path = pathlib.Path(path)
    names = _names(path)
    numbers = _camera_numbers(path)
    if len(names) != len(numbers):
        raise InputError(
            f"{path} has {len(numbers)} cameras, but {list_of(path)} has {len(names)} names: they must be as many, in "
            "the same order"
        )
    problems += [f"{list_of(path)}: {p}" for p in repeated_names(names)]
    found = []
    for number, (name, values) in enumerate(zip(names, numbers, strict=True), 1):
        if not values.any():
            continue
        try:
            found.append((name, *_camera(values)))
        except ValueError as e:
            problems.append(f"{path}: camera {number} of {len(names)} ({name}): {e}")
    return found


def list_of(path: pathlib.Path) -> pathlib.Path:
    """The list of names that belongs to a file: NAME.list.txt, list.txt beside it or in the folder above."""
    stem = path.name.removesuffix(ENDING).removesuffix(".bundle")
    places = [path.with_name(f"{stem}.list.txt"), path.with_name("list.txt"), path.parent.parent / "list.txt"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(f"the names of the photos of {path} are missing: put Bundler's list.txt beside it")
    return found


def _names(path: pathlib.Path) -> list[str]:
    """From lines `name` or `name 0 focal`, as Bundler's own preparation writes them."""
    return [" ".join(fields[:-2] if fields[-2:-1] == ["0"] else fields) for _, fields in read_lines(list_of(path))]


def _camera_numbers(path: pathlib.Path) -> np.ndarray:
    """(cameras, 15) f k1 k2, R by rows, t."""
    lines = read_lines(path)
    line, fields = next(lines, (1, []))
    if len(fields) != 2 or not all(f.isascii() and f.isdigit() for f in fields):
        raise InputError(f"{path}:{line}: this is no Bundler file: expected the numbers of cameras and of points")
    count, rows = int(fields[0]), []
    for _ in range(5 * count):
        line, fields = next(lines, (line + 1, []))
        try:
            if len(fields) != 3:
                raise ValueError
            rows.append([float(f) for f in fields])
        except ValueError as e:
            said = " ".join(fields)[:60] if fields else "the end of the file"
            raise InputError(
                f"{path}:{line}: camera {len(rows) // 5 + 1} of {count}: expected three numbers, but found {said!r}"
            ) from e
    return np.array(rows).reshape(count, 15)


def _camera(values: np.ndarray) -> tuple[float, tuple, Pose]:
    """Focal length, radial coefficients and pose; ValueError says what is wrong."""
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite numbers")
    if values[0] <= 0:
        raise ValueError(f"the focal length {values[0]:g} px must be positive")
    written = values[3:12].reshape(3, 3)
    rotation = nearest_rotation(written)
    if np.abs(rotation - written).max() > _MOST_OFF:
        raise ValueError("its rows 2 to 4 are no rotation matrix")
    k1, k2 = values[1:3].tolist()
    return float(values[0]), (k1, k2), Pose(_AXES[:, None] * rotation, _AXES * values[12:])
