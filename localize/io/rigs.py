"""Which photos were taken at one moment, and where each stood in its rig: COLMAP's rigs and frames, or a list.

COLMAP since 3.12 keeps a rig's sensor_from_rig in rigs.txt and the photos of each moment in frames.txt (or .bin).
"""

import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from localize.geometry.colmap import pycolmap
from localize.geometry.poses import pose_from_numbers
from localize.io.models.colmap import colmap_image_names
from localize.io.names import Names, of_queries
from localize.io.text import blank_in, read_lines
from localize.types import InputError, Mounted, Pose

_STILL = Pose(np.eye(3), np.zeros(3))
_CAMERA = "CAMERA"  # the other sensors, such as IMU, take no photos


def read_rigs(path: pathlib.Path, problems: list[str], known: Names) -> dict[str, Mounted]:
    """`Mounted` by name, from a folder of a COLMAP model or from a list; photos that are alone in a group are left out.

    known: names of the queries, of which alone is read, as both may speak of others too. What cannot be used goes to
    `problems`; InputError if the files are missing or damaged.
    """
    path = pathlib.Path(path).expanduser()
    if path.is_dir():
        found = _of_model(path, problems, known)
    else:
        found = of_queries(path, _of_list(path, problems), known, problems)
    sizes: dict[str, int] = {}
    for mounted in found.values():
        sizes[mounted.group] = sizes.get(mounted.group, 0) + 1
    together = {name: mounted for name, mounted in found.items() if sizes[mounted.group] > 1}
    if not together and not problems:
        problems.append(f"{path}: no two queries are in one group, so there are no rigs")
    return together


def _of_list(path: pathlib.Path, problems: list[str]) -> dict[str, Mounted]:
    """From lines `group name qw qx qy qz tx ty tz`, cam_from_rig."""
    found = {}
    for number, fields in read_lines(path):
        try:
            if len(fields) > 9:
                raise ValueError(blank_in(fields[1:-7]))
            if len(fields) != 9:
                raise ValueError(f"{len(fields)} fields, but expected 9: group name qw qx qy qz tx ty tz")
            group, name = fields[:2]
            if name in found:
                raise ValueError(f"{name} was listed before: a photo is in one group only")
            found[name] = Mounted(group, _pose(fields[2:]))
        except ValueError as e:
            problems.append(f"{path}:{number}: {e}")
    return found


def _of_model(folder: pathlib.Path, problems: list[str], known: Names) -> dict[str, Mounted]:
    names = colmap_image_names(folder, problems)
    if all((folder / f"{stem}.bin").is_file() for stem in ("rigs", "frames")):
        mounts, frames = _binary(folder)
    elif all((folder / f"{stem}.txt").is_file() for stem in ("rigs", "frames")):
        mounts, frames = _text_rigs(folder / "rigs.txt", problems), _text_frames(folder / "frames.txt", problems)
    else:
        raise InputError(f"{folder} holds no rigs: expected rigs.bin and frames.bin, or rigs.txt and frames.txt")
    found: dict[str, Mounted] = {}
    for where, frame, rig, photos in frames:
        for camera, image in photos:
            name, mount = names.get(image), mounts.get((rig, camera))
            if name is None:
                problems.append(f"{where}: frame {frame} holds image {image}, which images do not")
                continue
            query = known.find(name)
            if query in found:
                problems.append(f"{where}: {name} was in a frame before: a photo is in one frame only")
            elif query is not None and mount is None:
                problems.append(f"{where}: {name} is of camera {camera}, whose pose in rig {rig} is not known")
            elif query is not None:
                found[query] = Mounted(f"frame {frame}", mount)
    return found


_Mounts = dict[tuple[int, int], Pose]  # by rig and camera
_Frames = Iterator[tuple[str, int, int, list[tuple[int, int]]]]  # where, frame, rig, (camera, image) of each photo


def _binary(folder: pathlib.Path) -> tuple[_Mounts, _Frames]:
    """By pycolmap, which wants the whole model."""
    try:
        model = pycolmap.Reconstruction(str(folder))
    except (RuntimeError, ValueError, OSError) as e:
        raise InputError(f"the COLMAP model {folder} cannot be read ({str(e).splitlines()[-1]}): copy it again") from e
    mounts: _Mounts = {}
    for rig_id, rig in model.rigs.items():
        if rig.ref_sensor_id.type.name == _CAMERA:
            mounts[rig_id, rig.ref_sensor_id.id] = _STILL
        for sensor, pose in rig.non_ref_sensors.items():
            if sensor.type.name == _CAMERA and pose is not None:
                mounts[rig_id, sensor.id] = Pose(pose.rotation.matrix(), pose.translation)

    def frames() -> _Frames:
        for frame_id, frame in sorted(model.frames.items()):
            photos = [(d.sensor_id.id, d.id) for d in frame.data_ids if d.sensor_id.type.name == _CAMERA]
            yield str(folder / "frames.bin"), frame_id, frame.rig_id, sorted(photos)

    return mounts, frames()


def _text_rigs(path: pathlib.Path, problems: list[str]) -> _Mounts:
    """From lines `RIG_ID NUM_SENSORS TYPE ID (TYPE ID HAS_POSE [QW QX QY QZ TX TY TZ])...`, the first the reference."""

    def read(fields: list[str]) -> _Mounts:
        rig, number, rest, found = int(fields[0]), int(fields[1]), fields[4:], {}
        if number and fields[2] == _CAMERA:
            found[rig, int(fields[3])] = _STILL
        for _ in range(number - 1):
            kind, sensor, posed = rest[0], int(rest[1]), int(rest[2])
            if posed and kind == _CAMERA:
                found[rig, sensor] = _pose(rest[3:10])
            rest = rest[10 if posed else 3 :]
        if rest:
            raise ValueError(f"{number} sensors leave {len(rest)} fields over")
        return found

    return {key: pose for _, made in _each_line(path, problems, read) for key, pose in made.items()}


def _text_frames(path: pathlib.Path, problems: list[str]) -> _Frames:
    """From lines `FRAME_ID RIG_ID QW QX QY QZ TX TY TZ NUM_DATA (TYPE SENSOR_ID DATA_ID)...`."""

    def read(fields: list[str]):
        photos, number = fields[10:], int(fields[9])
        if len(photos) != 3 * number:
            raise ValueError(f"{number} photos need {3 * number} fields after their number, but {len(photos)} follow")
        kinds, cameras, images = photos[::3], map(int, photos[1::3]), map(int, photos[2::3])
        taken = [(c, i) for kind, c, i in zip(kinds, cameras, images, strict=True) if kind == _CAMERA]
        return int(fields[0]), int(fields[1]), sorted(taken)

    for number, made in _each_line(path, problems, read):
        yield f"{path}:{number}", *made


def _each_line(path: pathlib.Path, problems: list[str], read: Callable) -> Iterator[tuple[int, object]]:
    for number, fields in read_lines(path):
        try:
            yield number, read(fields)
        except IndexError:
            problems.append(f"{path}:{number}: the line is too short: the file may be cut off")
        except ValueError as e:
            problems.append(f"{path}:{number}: {e}")


def _pose(fields: list[str]) -> Pose:
    if len(fields) != 7:
        raise IndexError
    return pose_from_numbers(fields)
