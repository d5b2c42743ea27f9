"""transforms.json: photos with cameras and poses as nerfstudio, instant-ngp and the original NeRF write them.

https://docs.nerf.studio/quickstart/data_conventions.html. `transform_matrix` is camera to world, where the camera looks
along -z and y points up. Intrinsics stand once for all frames or in a frame, whose own come first; distortion is
OpenCV's. Principal points are COLMAP's, from the upper-left corner of the photo: what writes these files copies them.
nerfstudio's applied_transform and applied_scale say how it moved the poses that it was given: to scale (transform X).
"""

import json
import math
import pathlib
from collections.abc import Callable

import numpy as np

from localize.geometry.poses import nearest_rotation
from localize.io.text import read_text
from localize.types import Camera, Image, InputError, Pose

_PERSPECTIVE = {"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"}
_AXES = np.array([1.0, -1.0, -1.0])  # from a camera that looks along -z to one that looks along z
_MOST_OFF = 1e-3  # of a number from the nearest rotation
_RAW = (  # keys of what apps write themselves
    (("poses", "K"), "Record3D's own file: export its photos and poses by `ns-process-data record3d`"),
    (("t_00", "fx"), "one camera of Polycam: convert its raw data by `ns-process-data polycam`"),
    (("camera_path",), "a path for a video that nerfstudio is to draw"),
)


def read_transforms(
    path: pathlib.Path,
    problems: list[str],
    *,
    name_of: Callable[[str], str],
    size_of: Callable[[str], tuple[int, int]],
    original: bool = False,
) -> tuple[list[Image], bool]:
    """Images with camera and pose, and whether nerfstudio says that it moved the poses.

    name_of: the photo's name of a file_path; size_of: its (width, height) px by name, where the file does not say.
    original: undo what moved the poses. Frames that cannot be used go to `problems`.
    """
    content = _content(path)
    moved = [key for key in ("applied_transform", "applied_scale") if key in content]
    try:
        undo = _undo(content) if original else None
    except (TypeError, ValueError) as e:
        raise InputError(f"{path}: {' and '.join(moved)} cannot be used ({e})") from e
    images = []
    for number, frame in enumerate(content["frames"]):
        where = f"{path}: frame {number}"
        try:
            file_path = frame["file_path"]
            where = f"{where} ({file_path})"
            name, pose = name_of(file_path), _pose(frame["transform_matrix"], undo)
            given = {k: v for k, v in (content | frame).items() if v is not None}
            images.append(Image(name, _camera(given, lambda name=name: size_of(name)), pose))
        except InputError as e:
            problems += [f"{where}: {p}" for p in e.problems]
        except KeyError as e:
            problems.append(f"{where} has no {e.args[0]}")
        except (TypeError, ValueError, AttributeError) as e:
            problems.append(f"{where}: {e}")
    return images, bool(moved)


def _content(path: pathlib.Path) -> dict:
    """The file with its list of frames; InputError says what else it may be."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as e:
        raise InputError(f"{path}:{e.lineno}: this is no JSON ({e.msg}): copy it again") from e
    except RecursionError as e:
        raise InputError(f"{path} is no transforms.json: it is nested too deeply") from e
    found = content if isinstance(content, dict) else {}
    if not isinstance(found.get("frames"), list) or not found["frames"]:
        other = next((text for keys, text in _RAW if all(key in found for key in keys)), None)
        raise InputError(f"{path} is no transforms.json: {'it is ' + other if other else 'it has no list of frames'}")
    if not all(isinstance(frame, dict) for frame in found["frames"]):
        raise InputError(f"{path} is no transforms.json: a frame must hold file_path and transform_matrix")
    return found


def _undo(content: dict) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotation, translation and scale that were applied to the poses; ValueError if they are none."""
    given = np.array(content.get("applied_transform", np.eye(4)[:3]), np.float64)
    scale = float(content.get("applied_scale", 1.0))
    if given.shape not in ((3, 4), (4, 4)) or not np.isfinite(given).all() or not (np.isfinite(scale) and scale > 0):
        raise ValueError("expected 3 rows of 4 finite numbers, and a positive scale")
    if np.abs(given[:3, :3] @ given[:3, :3].T - np.eye(3)).max() > _MOST_OFF or np.linalg.det(given[:3, :3]) < 0:
        raise ValueError("its first three columns are no rotation")
    return given[:3, :3], given[:3, 3], scale


def _pose(matrix, undo: tuple[np.ndarray, np.ndarray, float] | None) -> Pose:
    """cam_from_world with our axes of a matrix world_from_cam with OpenGL's."""
    given = np.array(matrix, np.float64)
    if given.shape not in ((3, 4), (4, 4)):
        raise ValueError(f"transform_matrix has the shape {given.shape}, but must have 4 rows of 4 numbers")
    if not np.isfinite(given).all():
        raise ValueError("transform_matrix holds NaN or infinite numbers")
    if len(given) == 4 and np.abs(given[3] - (0, 0, 0, 1)).max() > _MOST_OFF:
        raise ValueError("the last row of transform_matrix is not 0 0 0 1: is it transposed?")
    rotation, center = given[:3, :3], given[:3, 3]
    nearest = nearest_rotation(rotation)
    if np.abs(rotation - nearest).max() > _MOST_OFF:
        raise ValueError("transform_matrix holds no rotation: its first three columns are scaled, mirrored or skew")
    if undo is not None:
        turn, shift, scale = undo
        nearest, center = nearest_rotation(turn).T @ nearest, turn.T @ (center / scale - shift)
    R = (nearest * _AXES).T
    return Pose(R, -R @ center)


def _camera(given: dict, size: Callable[[], tuple[int, int]]) -> Camera:
    """The camera of a frame; KeyError and ValueError say what is missing or wrong."""
    width, height = (given["w"], given["h"]) if "w" in given and "h" in given else size()
    width, height = float(width), float(height)
    focal = _focal(given, "x", width)
    focals = [focal, _focal(given, "y", height, focal)]
    middle = [float(given.get("cx", width / 2)), float(given.get("cy", height / 2))]
    k1, k2, k3, k4, p1, p2 = (float(given.get(k, 0.0)) for k in ("k1", "k2", "k3", "k4", "p1", "p2"))
    model = str(given.get("camera_model", "OPENCV_FISHEYE" if given.get("is_fisheye") else "OPENCV")).upper()
    if model == "OPENCV_FISHEYE":
        return Camera(model, width, height, [*focals, *middle, k1, k2, k3, k4])
    if model not in _PERSPECTIVE:
        raise ValueError(f"camera_model {given['camera_model']} is not supported: only OPENCV and OPENCV_FISHEYE are")
    if k4:
        raise ValueError("k4 is given of a camera that is no fisheye: give camera_model OPENCV_FISHEYE, or no k4")
    if k3:
        return Camera("FULL_OPENCV", width, height, [*focals, *middle, k1, k2, p1, p2, k3, 0, 0, 0])
    if k1 or k2 or p1 or p2:
        return Camera("OPENCV", width, height, [*focals, *middle, k1, k2, p1, p2])
    return Camera("PINHOLE", width, height, [*focals, *middle])


def _focal(given: dict, axis: str, length: float, otherwise: float | None = None) -> float:
    """Focal length in px along an axis: as it is, or by the angle of view over the photo's length in px."""
    if f"fl_{axis}" in given:
        return float(given[f"fl_{axis}"])
    for key, unit in ((f"camera_angle_{axis}", 1.0), (f"{axis}_fov", math.pi / 180)):
        if key in given:
            angle = float(given[key]) * unit
            if not 0 < angle < math.pi:
                raise ValueError(f"{key} is {given[key]}, but must lie between 0 and {math.pi / unit:.4g}")
            return length / 2 / math.tan(angle / 2)
    if otherwise is None:
        raise ValueError("there is no focal length: neither fl_x nor camera_angle_x is given")
    return otherwise
