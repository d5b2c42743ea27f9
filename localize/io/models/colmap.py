"""COLMAP models, text or binary: cameras and poses, and where wanted the points. Errors name the file and the line."""

import logging
import pathlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from localize.geometry.poses import pose_from_numbers
from localize.io.models.colmap_cameras import Cameras, binary_cameras, text_cameras
from localize.io.models.colmap_points import drop_pages, map_file, read_colmap_points, row_finder
from localize.io.number_rows import open_input, parse_block
from localize.kernels.numbers import place_observations
from localize.types import Image, InputError, SourceModel, repeated_names

log = logging.getLogger(__name__)

_RADIAL = {"SIMPLE_RADIAL": 3, "RADIAL": 3, "OPENCV": 4, "FULL_OPENCV": 4}  # where k1 stands among the parameters
_KEYPOINT = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
_DROP_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class _Entry:
    """An image as it is written: numbers are qw qx qy qz tx ty tz; xy (K, 2) px; point (K,) ids, -1 = none.

    xy and point are views of any dtype: a binary file is read only where they are touched.
    """

    where: str
    id: int
    name: str
    numbers: list
    camera_id: int | str
    xy: np.ndarray
    point: np.ndarray


def read_colmap_images(folder: pathlib.Path, problems: list[str]) -> list[Image]:
    """Images with camera and pose of the COLMAP model in a folder, sorted by name; what is bad goes to `problems`."""
    folder = pathlib.Path(folder)
    suffix = _suffix(folder, ("cameras", "images"))
    if suffix is None:
        problems.append(
            f"{folder} is no COLMAP model: expected cameras.bin and images.bin, or cameras.txt and images.txt"
        )
        return []
    if all((folder / f"{stem}{s}").is_file() for stem in ("cameras", "images") for s in (".bin", ".txt")):
        log.warning("%s holds a model as .bin and one as .txt: the .bin files are used", folder)
    with _sound(folder):
        cameras, entries = _open(folder, suffix, problems)
        images = [image for entry in entries for image in _image(entry, cameras, problems)]
    return sorted(images, key=lambda image: image.name)


def colmap_image_names(folder: pathlib.Path, problems: list[str]) -> dict[int, str]:
    """Names by image id of the COLMAP model in a folder; what is bad goes to `problems`."""
    suffix = _suffix(folder, ("images",))
    if suffix is None:
        raise InputError(f"{folder} is no COLMAP model: expected images.bin or images.txt")
    with _sound(folder):
        path = folder / f"images{suffix}"
        return {e.id: e.name for e in (_binary_images(path) if suffix == ".bin" else _text_images(path, problems))}


def read_colmap_model(folder: pathlib.Path, problems: list[str]) -> SourceModel:
    """The whole COLMAP model in a folder: images in the files' order, points by ascending id.

    Repeated names go to `problems`; InputError with all sentences where a camera, an image or the points are bad.
    """
    folder = pathlib.Path(folder)
    suffix = _suffix(folder, ("cameras", "images", "points3D"))
    if suffix is None:
        raise InputError(
            f"{folder} is no whole COLMAP model: expected cameras, images and points3D, all .bin or all .txt"
        )
    with _sound(folder):
        ids, points, lengths = read_colmap_points(folder, suffix)
        indptr = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        images, observations = _read_observed(folder, suffix, ids, indptr)
        problems += [f"{folder}: {p}" for p in repeated_names(image.name for image in images)]
        cameras = tuple(image.camera for image in images)
        return SourceModel(
            tuple(image.name for image in images),
            np.array([c.focal_px for c in cameras]),
            np.array([c.params[_RADIAL[c.model]] if c.model in _RADIAL else 0.0 for c in cameras]),
            np.array([image.pose.rotation for image in images]).reshape(-1, 3, 3),
            np.array([image.pose.translation for image in images]).reshape(-1, 3),
            points,
            indptr,
            *observations,
            cameras,
        )


def _suffix(folder: pathlib.Path, stems: tuple[str, ...]) -> str | None:
    return next((s for s in (".bin", ".txt") if all((folder / f"{stem}{s}").is_file() for stem in stems)), None)


@contextmanager
def _sound(folder: pathlib.Path):
    """Files that end too early or hold NaN become an InputError."""
    try:
        yield
    except InputError:
        raise
    except (struct.error, ValueError) as e:  # UnicodeDecodeError is a ValueError
        raise InputError(f"the COLMAP model {folder} is cut off or damaged ({e}): copy it again") from e


def _open(folder: pathlib.Path, suffix: str, problems: list[str]) -> tuple[Cameras, Iterator[_Entry]]:
    """The cameras, and the images one by one."""
    if suffix == ".bin":
        return binary_cameras(folder / "cameras.bin"), _binary_images(folder / "images.bin")
    return text_cameras(folder / "cameras.txt"), _text_images(folder / "images.txt", problems)


def _read_observed(folder: pathlib.Path, suffix: str, ids: np.ndarray, indptr: np.ndarray):
    """The images, and of each observation the image, the keypoint and its place; InputError with all that is bad."""
    bad, images, total = [], [], int(indptr[-1])
    image, keypoint, xy = np.empty(total, np.int32), np.empty(total, np.int32), np.empty((total, 2), np.float32)
    free, end = indptr[:-1].copy(), indptr[1:]
    cameras, entries = _open(folder, suffix, bad)
    find = row_finder(ids)
    for entry in entries:
        made = _image(entry, cameras, bad)
        if bad:
            continue  # the rest is read for its problems only
        point = entry.point.astype(np.int64)
        rows = find(point)
        lost = np.flatnonzero((rows < 0) & (point >= 0))
        if len(lost):
            bad.append(f"{entry.where}: image {entry.name} shows point {point[lost[0]]}, which {_NOT_THERE}")
            continue
        full = place_observations(rows, entry.xy.astype(np.float32), len(images), free, end, image, keypoint, xy)
        if full >= 0:
            bad.append(f"{entry.where}: image {entry.name} shows point {point[full]}, whose track {_TOO_SHORT}")
        images += made
    if not bad and (free != end).any():
        point = ids[np.argmax(free != end)]
        bad.append(f"{folder}: point {point} has a longer track than images show it: {_DIFFERENT}")
    if bad:
        raise InputError(*bad)
    return images, (image, keypoint, xy)


_DIFFERENT = "the files are not of one model, or one is cut off"
_NOT_THERE = f"points3D does not hold: {_DIFFERENT}"
_TOO_SHORT = f"in points3D is too short for it: {_DIFFERENT}"


def _image(entry: _Entry, cameras: Cameras, problems: list[str]) -> list[Image]:
    """The image in a list of its own, or an empty list and a problem; of a bad camera there is one problem in all."""
    camera = cameras.get(entry.camera_id, cameras.get(None))
    if isinstance(camera, str):
        problems += [camera] * (camera not in problems)
        return []
    try:
        if camera is None:
            raise ValueError("its camera id is not in the cameras file")
        return [Image(entry.name, camera, pose_from_numbers(entry.numbers))]
    except ValueError as e:
        problems.append(f"{entry.where}: image {entry.name}: {e}")
        return []


def _text_images(path: pathlib.Path, problems: list[str]) -> Iterator[_Entry]:
    with open_input(path) as file:
        number = 0
        for line in file:
            number += 1
            try:
                fields = line.decode("utf-8-sig" if number == 1 else "utf-8").strip().split(maxsplit=9)
            except UnicodeDecodeError as e:
                raise InputError(f"file {path} is not a text file in UTF-8 ({e.reason} in line {number})") from e
            if not fields or fields[0].startswith("#"):
                continue
            if len(fields) != 10:
                problems.append(
                    f"{path}:{number}: expected `id qw qx qy qz tx ty tz camera_id name`; the file may be cut off"
                )
                return  # after this the lines no longer pair up
            number += 1  # two lines per image, of which the second may be empty
            line = next(file, b"")
            if line.strip() and not line.endswith(b"\n"):
                problems.append(f"{path}:{number}: the file ends in the middle of this line: it may be cut off")
                return
            values = _keypoint_values(line, path, number)
            if values is None:
                problems.append(
                    f"{path}:{number}: expected the keypoints of image {fields[9]} as x y point3D_id ...; every image "
                    "has two lines, of which the second may be empty but not left out"
                )
                return
            where = f"{path}:{number - 1}"
            yield _Entry(where, _number(fields[0]), fields[9], fields[1:8], fields[8], values[:, :2], values[:, 2])


def _number(field: str) -> int:
    """An image's id, which nothing but rigs ask for; -1 if it is no number."""
    return int(field) if field.isdecimal() else -1


def _keypoint_values(line: bytes, path: pathlib.Path, number: int) -> np.ndarray | None:
    """The numbers of an image's second line (K, 3), or None if it is no such line."""
    try:
        values = parse_block(line.rstrip() + b"\n", path, number)[0].values
    except InputError:
        return None
    return None if len(values) % 3 else values.reshape(-1, 3)


def _binary_images(path: pathlib.Path) -> Iterator[_Entry]:
    data, at, dropped = map_file(path), 8, 0
    for _ in range(*struct.unpack_from("<Q", data)):
        image_id, *numbers, camera_id = struct.unpack_from("<I7dI", data, at)
        end = data.find(b"\0", at + 64)
        name = data[at + 64 : max(end, at + 64)].decode()
        count = struct.unpack_from("<Q", data, end + 1)[0] if end >= 0 else 2**64
        at = end + 9
        if count > (len(data) - at) // _KEYPOINT.itemsize:
            raise ValueError(f"images.bin ends inside image {name}")
        found = np.frombuffer(data, _KEYPOINT, count, at)
        yield _Entry(str(path), image_id, name, numbers, camera_id, found["xy"], found["point"])
        at += found.nbytes
        if at - dropped > _DROP_BYTES:
            drop_pages(data)
            dropped = at
