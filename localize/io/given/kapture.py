"""Local features in a kapture folder (Humenberger et al., "Robust image retrieval-based visual localization using
kapture", 2020; format 1.1, and 1.0, which has no level of types).

<root>/reconstruction/keypoints/<type>/keypoints.txt holds `name, dtype, dsize`, and <image>.kpt beside it the raw
little-endian rows of all keypoints, x and y first; descriptors/<type>/descriptors.txt and <image>.desc likewise.
"""

import pathlib

import numpy as np

from localize.io.given.checks import given_features
from localize.io.text import read_text
from localize.types import Features, InputError

_TYPES = ("float32", "float64", "float16", "uint8", "int8", "int32", "float")


def read_kapture_features(
    root: str | pathlib.Path, name: str, width: int, height: int, kind: str | None = None, pixel_center: float = 0.0
) -> Features:
    """Features of one photo of width x height px, in our pixel convention, descriptors of unit length.

    root: the kapture folder, or its folder reconstruction. kind: the type of keypoints; None: the only one there is.
    pixel_center: where the file puts the centre of the first pixel. InputError for what is missing or cannot be used.
    """
    keypoints, descriptors = kapture_folders(root, kind)
    xy = _rows(keypoints, "keypoints", name, ".kpt")
    found = _rows(descriptors, "descriptors", name, ".desc")
    where = f"{root}: image {name}"
    if xy.shape[1] < 2:
        raise InputError(f"{where}: keypoints have {xy.shape[1]} values, but must begin with x and y")
    return given_features(where, xy[:, :2], found, (width, height), pixel_center=pixel_center)


def kapture_folders(root: str | pathlib.Path, kind: str | None = None) -> tuple[pathlib.Path, pathlib.Path]:
    """The folders of the keypoints and of their descriptors."""
    root = pathlib.Path(root)
    base = root / "reconstruction" if (root / "reconstruction").is_dir() else root
    if not (base / "keypoints").is_dir():
        packed = "; unpack keypoints.tar there" if list(base.glob("**/keypoints.tar")) else ""
        raise InputError(f"{root} is no kapture folder with features: {base / 'keypoints'} is missing{packed}")
    keypoints = _of_kind(base / "keypoints", "keypoints", kind)
    wanted = keypoints.name if keypoints != base / "keypoints" else None
    named = [p.parent for p in sorted((base / "descriptors").glob("*/descriptors.txt")) if _header(p)[3:4] == [wanted]]
    return keypoints, named[0] if len(named) == 1 else _of_kind(base / "descriptors", "descriptors", wanted)


def _of_kind(folder: pathlib.Path, what: str, kind: str | None) -> pathlib.Path:
    if (folder / f"{what}.txt").is_file():  # format 1.0
        return folder
    there = [path.parent.name for path in sorted(folder.glob(f"*/{what}.txt"))]
    if kind in there or (kind is None and len(there) == 1):
        return folder / (kind or there[0])
    asked = f"no type {kind!r}" if kind else "no type" if not there else "several types"
    raise InputError(f"{folder} has {asked} (there: {', '.join(there) or 'none'}): name one as feature.kind")


def _header(path: pathlib.Path) -> list[str]:
    """The fields of the only line that is no comment."""
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    return [field.strip() for field in lines[0].split(",")] if lines else []


def _rows(folder: pathlib.Path, what: str, name: str, suffix: str) -> np.ndarray:
    """(N, dsize) of a photo."""
    header = _header(folder / f"{what}.txt")
    if len(header) < 3 or header[1] not in _TYPES or not header[2].isdigit() or int(header[2]) < 1:
        raise InputError(f"{folder / what}.txt must say `name, dtype, dsize`, dtype one of: {', '.join(_TYPES)}")
    if what == "descriptors" and len(header) > 4 and header[4].upper() != "L2":
        raise InputError(
            f"{folder / what}.txt: descriptors are compared by {header[4]}, which is not supported: only L2"
        )
    path = folder / f"{name}{suffix}"
    if not path.is_file():
        raise InputError(f"{folder} has no image {name} ({path} is missing): names there must be those of the scene")
    values = np.frombuffer(path.read_bytes(), np.uint8)
    dtype, size = np.dtype(header[1]).newbyteorder("<"), int(header[2])
    if len(values) % (dtype.itemsize * size):
        raise InputError(f"{path} has {len(values)} bytes, no multiple of {size} values of {header[1]}: it is cut off")
    return values.view(dtype).reshape(-1, size).astype(dtype.newbyteorder("="))
