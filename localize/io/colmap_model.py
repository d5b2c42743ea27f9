"""Cameras and poses of a COLMAP model, text or binary; the points are not read. Errors name the file and the line."""

import pathlib
import struct

import numpy as np

from localize.geometry.poses import rotation_from_qvec
from localize.io.text import parse_camera, read_lines, read_text
from localize.types import CAMERA_MODELS, Camera, Image, InputError, Pose

# COLMAP's numbering of the models; the ones we cannot hold are missing.
_MODEL_IDS = dict(enumerate(
    ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV",
     "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE", "RAD_TAN_THIN_PRISM_FISHEYE"]
))  # fmt: skip


def read_colmap_images(folder: pathlib.Path, problems: list[str]) -> list[Image]:
    """Images with camera and pose of the COLMAP model in a folder, sorted by name; what is bad goes to `problems`."""
    folder = pathlib.Path(folder)
    for suffix, reader in ((".bin", _read_binary), (".txt", _read_text)):
        if all((folder / f"{name}{suffix}").is_file() for name in ("cameras", "images")):
            return sorted(reader(folder, problems), key=lambda image: image.name)
    problems.append(f"{folder} is no COLMAP model: expected cameras.bin and images.bin, or cameras.txt and images.txt")
    return []


def _image(where: str, name: str, numbers, camera: Camera | None, problems: list[str]) -> list[Image]:
    """The image in a list of its own, or an empty list and a problem."""
    try:
        numbers = np.array(numbers, np.float64)
        if camera is None:
            raise ValueError("its camera id is not in the cameras file, or that camera cannot be used")
        return [Image(name, camera, Pose(rotation_from_qvec(numbers[:4]), numbers[4:]))]
    except ValueError as e:
        problems.append(f"{where}: image {name}: {e}")
        return []


def _read_text(folder: pathlib.Path, problems: list[str]) -> list[Image]:
    cameras = {}
    for number, fields in read_lines(folder / "cameras.txt"):
        try:
            cameras[fields[0]] = parse_camera(fields[1:])
        except ValueError as e:
            problems.append(f"{folder / 'cameras.txt'}:{number}: camera {fields[0]}: {e}")
    images, path = [], folder / "images.txt"
    lines = read_text(path).splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    for i in range(first, len(lines), 2):  # two lines per image, of which the second may be empty
        fields = lines[i].split(maxsplit=9)
        if not fields:
            continue
        if len(fields) != 10:
            problems.append(
                f"{path}:{i + 1}: expected `id qw qx qy qz tx ty tz camera_id name`; the file may be cut off"
            )
            break  # after this the lines no longer pair up
        if i + 1 < len(lines) and len(lines[i + 1].split()) % 3:
            problems.append(
                f"{path}:{i + 2}: expected the keypoints of image {fields[9]} as x y point3D_id ...; every image has "
                "two lines, of which the second may be empty but not left out"
            )
            break
        images += _image(f"{path}:{i + 1}", fields[9], fields[1:8], cameras.get(fields[8]), problems)
    return images


def _read_binary(folder: pathlib.Path, problems: list[str]) -> list[Image]:
    try:
        cameras = _read_binary_cameras((folder / "cameras.bin").read_bytes(), folder, problems)
        return _read_binary_images((folder / "images.bin").read_bytes(), cameras, folder, problems)
    except (struct.error, ValueError) as e:  # UnicodeDecodeError is a ValueError
        raise InputError(f"the COLMAP model {folder} is cut off or damaged ({e}): copy it again") from e


def _read_binary_cameras(data: bytes, folder: pathlib.Path, problems: list[str]) -> dict[int, Camera]:
    cameras, at = {}, 8
    for _ in range(*struct.unpack_from("<Q", data)):
        camera_id, model_id, width, height = struct.unpack_from("<IiQQ", data, at)
        if model_id not in _MODEL_IDS:
            problems.append(
                f"{folder / 'cameras.bin'}: camera {camera_id} has model {model_id}, which is not supported"
            )
            return cameras  # its length is unknown, so the rest cannot be read
        model = _MODEL_IDS[model_id]
        params = struct.unpack_from(f"<{CAMERA_MODELS[model]}d", data, at + 24)
        at += 24 + 8 * len(params)
        try:
            cameras[camera_id] = Camera(model, width, height, params)
        except ValueError as e:
            problems.append(f"{folder / 'cameras.bin'}: camera {camera_id}: {e}")
    return cameras


def _read_binary_images(data: bytes, cameras: dict, folder: pathlib.Path, problems: list[str]) -> list[Image]:
    images, at = [], 8
    for _ in range(*struct.unpack_from("<Q", data)):
        _, *numbers, camera_id = struct.unpack_from("<I7dI", data, at)
        end = data.index(b"\0", at + 64)
        name = data[at + 64 : end].decode()
        at = end + 9 + 24 * struct.unpack_from("<Q", data, end + 1)[0]
        if at > len(data):
            raise ValueError(f"images.bin ends inside image {name}")
        images += _image(str(folder / "images.bin"), name, numbers, cameras.get(camera_id), problems)
    return images
