"""The cameras of a COLMAP model, text or binary. One that no image uses may be anything."""

import pathlib
import struct

from localize.io.models.colmap_points import map_file
from localize.io.text import parse_camera, read_lines
from localize.types import CAMERA_MODELS, Camera
from localize.types.scenes import PANORAMA

# COLMAP's numbering of the models.
_MODEL_IDS = dict(enumerate(
    ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV",
     "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE", "RAD_TAN_THIN_PRISM_FISHEYE", "SIMPLE_DIVISION",
     "DIVISION", "SIMPLE_FISHEYE", "FISHEYE", "EUCM", PANORAMA]
))  # fmt: skip
_NUM_PARAMS = CAMERA_MODELS | {PANORAMA: 2}

# By id; in place of a camera that cannot be used the sentence that says why, which harms only if an image needs it. A
# sentence under None speaks of all cameras that are not listed.
Cameras = dict[int | str | None, Camera | str]


def text_cameras(path: pathlib.Path) -> Cameras:
    """Of cameras.txt; InputError if it is missing or no text."""
    cameras: Cameras = {}
    for number, fields in read_lines(path):
        try:
            cameras[fields[0]] = parse_camera(fields[1:])
        except ValueError as e:
            cameras[fields[0]] = f"{path}:{number}: camera {fields[0]}: {e}"
    return cameras


def binary_cameras(path: pathlib.Path) -> Cameras:
    """Of cameras.bin; InputError if it is missing, struct.error or ValueError if it ends too early."""
    data, at = map_file(path), 8
    cameras: Cameras = {}
    for _ in range(*struct.unpack_from("<Q", data)):
        camera_id, model_id, width, height = struct.unpack_from("<IiQQ", data, at)
        if model_id not in _MODEL_IDS:
            # its length is unknown, so the rest cannot be read
            cameras[None] = f"{path}: camera {camera_id} has model {model_id}, which is not known: use COLMAP's models"
            return cameras
        model = _MODEL_IDS[model_id]
        params = struct.unpack_from(f"<{_NUM_PARAMS[model]}d", data, at + 24)
        at += 24 + 8 * len(params)
        try:
            cameras[camera_id] = Camera(model, width, height, params)
        except ValueError as e:
            cameras[camera_id] = f"{path}: camera {camera_id}: {e}"
    return cameras
