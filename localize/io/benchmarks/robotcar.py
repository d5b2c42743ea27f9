"""Text files of RobotCar Seasons: intrinsics, training poses of v2, names as they are on disk."""

import pathlib

import numpy as np

from localize.geometry.poses import nearest_rotation
from localize.io.text import read_lines
from localize.types import Camera, InputError, Pose

CAMERAS = ("left", "rear", "right")


def photo_name(name: str) -> str:
    """A name of the models, databases and lists (`./night/rear/1418.png`) as it is on disk (`night/rear/1418.jpg`)."""
    name = name.removeprefix("./")
    return name.removesuffix(".png") + ".jpg" if name.endswith(".png") else name


def camera_and_time(name: str) -> str:
    """`rear/1418.jpg` of a name with or without its condition: a timestamp occurs in one condition only."""
    return "/".join(photo_name(name).split("/")[-2:])


def camera_of(name: str) -> str:
    """left, rear or right; InputError for a name of another form."""
    camera = name.rpartition("/")[0].rpartition("/")[2]
    if camera not in CAMERAS:
        raise InputError(f"{name} is no photo of RobotCar Seasons: expected condition/{'|'.join(CAMERAS)}/time.jpg")
    return camera


def read_intrinsics(path: pathlib.Path, width: int, height: int) -> Camera:
    """PINHOLE camera of the lines `fx 400.0`, `fy ...`, `cx ...`, `cy ...`; InputError names what is missing."""
    found = {}
    for number, fields in read_lines(path):
        try:
            found[fields[0].rstrip(":")] = float(fields[1])
        except (IndexError, ValueError) as e:
            raise InputError(f"{path}:{number}: expected a key and a number, such as `fx 400.0`") from e
    missing = [key for key in ("fx", "fy", "cx", "cy") if key not in found]
    if missing:
        raise InputError(f"{path}: {', '.join(missing)} is missing")
    return Camera("PINHOLE", width, height, [found[k] for k in ("fx", "fy", "cx", "cy")])


def read_training_poses(path: pathlib.Path, problems: list[str]) -> dict[str, Pose]:
    """cam_from_world by photo name from lines `condition/rear/time.png` and 16 numbers, camera to world, row by row."""
    poses = {}
    for number, fields in read_lines(path):
        try:
            if len(fields) != 17:
                raise ValueError(f"{len(fields)} fields, but expected a name and the 16 numbers of a 4 x 4 matrix")
            matrix = np.array(fields[1:], np.float64).reshape(4, 4)
            if not np.isfinite(matrix).all() or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
                raise ValueError("its last row is not 0 0 0 1, or it holds NaN")
            R = nearest_rotation(matrix[:3, :3].T)
            if np.abs(R - matrix[:3, :3].T).max() > 1e-3:
                raise ValueError("its upper left 3 x 3 numbers are no rotation")
            poses[photo_name(fields[0])] = Pose(R, -R @ matrix[:3, 3])
        except ValueError as e:
            problems.append(f"{path}:{number}: pose of {fields[0]}: {e}")
    return poses
