"""Photos, cameras and poses in a kapture folder (format 1.1, kapture_format.adoc of naver/kapture; 1.0 has the same).

<root>/sensors/ holds lines of values separated by commas: sensors.txt `id, name, camera, MODEL, width, height,
params...` in COLMAP's order, records_camera.txt `time, device, photo` below records_data/, trajectories.txt
`time, device, qw, qx, qy, qz, tx, ty, tz` (device_from_world; values may be empty), and rigs.txt
`rig, device, qw, qx, qy, qz, tx, ty, tz` (device_from_rig), where a device of a rig may be another rig.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator

from localize.geometry.poses import composed, pose_from_numbers
from localize.io.text import parse_camera, read_text
from localize.types import Camera, Image, InputError, Mounted, Pose

UNKNOWN = "UNKNOWN_CAMERA"
_DEEPEST = 8  # rigs in rigs


def records_folder(root: pathlib.Path) -> pathlib.Path:
    """Where the photos of a kapture folder are."""
    return root / "sensors" / "records_data"


def is_kapture(root: pathlib.Path) -> bool:
    """Whether a folder has what every kapture folder has."""
    return (root / "sensors" / "sensors.txt").is_file()


def read_kapture_images(
    root: pathlib.Path, problems: list[str], camera_of: Callable[[str], tuple] | None = None
) -> list[Image]:
    """The photos of all cameras with their poses, where they are known, and their places in rigs, sorted by name.

    camera_of: (camera, prior) of a photo whose camera is not known; None: such a one is a problem. Lines that cannot be
    used go to `problems`; InputError where a file is missing.
    """
    folder = root / "sensors"
    sensors = _sensors(folder / "sensors.txt", problems)
    parents = _rigs(folder / "rigs.txt", problems)
    poses = _trajectories(folder / "trajectories.txt", problems)
    images: dict[str, Image] = {}
    for where, fields in _rows(folder / "records_camera.txt", 3, problems):
        time, device, name = fields
        try:
            if device not in sensors:
                raise ValueError(f"device {device} is no camera of sensors.txt")
            if name in images:
                raise ValueError("this photo was listed before")
            camera, prior = sensors[device], None
            if camera is None:
                if camera_of is None:
                    raise ValueError(f"the intrinsics of {device} are not known ({UNKNOWN}): calibrate it first")
                camera, prior = camera_of(name)
            images[name] = Image(name, camera, _pose(time, device, poses, parents), prior=prior)
            images[name] = dataclasses.replace(images[name], mounted=_mounted(time, device, parents))
        except InputError as e:
            problems += e.problems
        except ValueError as e:
            problems.append(f"{where}: photo {name}: {e}")
    return [images[name] for name in sorted(images)]


def _rows(path: pathlib.Path, least: int, problems: list[str], *, needed: bool = True) -> Iterator[tuple[str, list]]:
    """(file and line, fields) of the lines that are neither blank nor comments."""
    if not needed and not path.is_file():
        return
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip() for field in line.split(",")]
        if len(fields) < least or (least == 3 and len(fields) != 3):
            problems.append(f"{path}:{number}: {len(fields)} values with commas between them, but expected {least}")
        else:
            yield f"{path}:{number}", fields


def _sensors(path: pathlib.Path, problems: list[str]) -> dict[str, Camera | None]:
    """Cameras by id; None: not known."""
    found: dict[str, Camera | None] = {}
    for where, fields in _rows(path, 2, problems):
        if len(fields) < 4 or fields[2] != "camera":
            continue
        try:
            found[fields[0]] = None if fields[3] == UNKNOWN else parse_camera(fields[3:])
        except ValueError as e:
            problems.append(f"{where}: sensor {fields[0]}: {e}")
    return found


def _rigs(path: pathlib.Path, problems: list[str]) -> dict[str, tuple[str, Pose]]:
    """By device: its rig and device_from_rig."""
    found: dict[str, tuple[str, Pose]] = {}
    for where, fields in _rows(path, 9, problems, needed=False):
        try:
            found[fields[1]] = fields[0], pose_from_numbers([float(f) for f in fields[2:9]])
        except ValueError as e:
            problems.append(f"{where}: device {fields[1]} of rig {fields[0]}: {e}")
    return found


def _trajectories(path: pathlib.Path, problems: list[str]) -> dict[tuple[str, str], Pose]:
    """device_from_world by time and device; a pose of which a part is missing is none."""
    found = {}
    for where, fields in _rows(path, 9, problems, needed=False):
        if "" in fields[2:9]:
            continue
        try:
            found[fields[0], fields[1]] = pose_from_numbers([float(f) for f in fields[2:9]])
        except ValueError as e:
            problems.append(f"{where}: pose of {fields[1]} at {fields[0]}: {e}")
    return found


def _chain(device: str, parents: dict) -> Iterator[tuple[str, Pose]]:
    """The rigs that a device is on, from the innermost, with device_from_rig."""
    pose = None
    for _ in range(_DEEPEST):
        if device not in parents:
            return
        device, step = parents[device]
        pose = step if pose is None else composed(pose, step)
        yield device, pose
    raise ValueError(f"rigs.txt puts rig {device} onto itself, or more than {_DEEPEST} rigs into each other")


def _pose(time: str, device: str, poses: dict, parents: dict) -> Pose | None:
    """cam_from_world of a camera: its own, or by the rigs that it is on."""
    if (time, device) in poses:
        return poses[time, device]
    found = (composed(pose, poses[time, rig]) for rig, pose in _chain(device, parents) if (time, rig) in poses)
    return next(found, None)


def _mounted(time: str, device: str, parents: dict) -> Mounted | None:
    """Its place in the outermost rig, whose photos of one time are one group."""
    outermost = None
    for rig, pose in _chain(device, parents):
        outermost = Mounted(f"{rig} at {time}", pose)
    return outermost
