"""Local features in one npz file per photo, as D2-Net, R2D2 and others write them: <folder>/<image name>.<ending>.

Arrays: keypoints (N, 2 or more), x and y first; descriptors (N, D); scores (N,), if any.
"""

import glob
import pathlib
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from localize.io.given.checks import given_features
from localize.types import Features, InputError, check_regular

MAX_BYTES = 2 << 30  # of one photo's arrays: a few bytes of an archive may stand for gigabytes of zeros
_DAMAGED = (  # what numpy raises on a file that was harmed
    OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, SyntaxError, ArithmeticError, RuntimeError,
    MemoryError, zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error,
)  # fmt: skip


def read_npz_features(
    folder: str | pathlib.Path, name: str, width: int, height: int, ending: str | None = None, pixel_center: float = 0.0
) -> Features:
    """Features of one photo of width x height px, in our pixel convention, descriptors of unit length.

    ending: what follows the photo's name, such as .d2-net; None: the only one there is. pixel_center: where the file
    puts the centre of the first pixel. InputError for what is missing or cannot be used.
    """
    path = _file(pathlib.Path(folder), name, ending)
    check_regular(path)
    try:
        with np.load(path, allow_pickle=False) as f:
            wanted = [key for key in ("keypoints", "descriptors", "scores") if key in f.files]
            size = sum(f.zip.getinfo(f"{key}.npy").file_size for key in wanted if f"{key}.npy" in f.zip.namelist())
            if size > MAX_BYTES:
                raise ValueError(f"its arrays take {size} bytes, more than the features of any photo")
            found = {key: f[key] for key in wanted}
    except _DAMAGED as e:
        raise InputError(f"{path} is no npz file, or is damaged ({e}): copy it again") from e
    for key in ("keypoints", "descriptors"):
        if found.get(key, np.zeros(0)).ndim != 2:
            raise InputError(f"{path} has no {key} with a row each: this is no file of local features")
    xy, descriptors = found["keypoints"], found["descriptors"]
    if xy.shape[1] < 2:
        raise InputError(f"{path}: keypoints have {xy.shape[1]} values, but must begin with x and y")
    scores = found.get("scores")
    return given_features(str(path), xy[:, :2], descriptors, (width, height), pixel_center=pixel_center, scores=scores)


def npz_files(folder: str | pathlib.Path, name: str, ending: str | None = None) -> list[pathlib.Path]:
    """The file of a photo; none, or several with endings of their own, where that is what there is."""
    folder = pathlib.Path(folder)
    if ending is not None:
        return [p for p in [folder / f"{name}{ending}"] if p.is_file()]
    beside = (folder / name).parent
    start = f"{pathlib.PurePosixPath(name).name}."
    return sorted(beside.glob(f"{glob.escape(start)}*"))


def _file(folder: pathlib.Path, name: str, ending: str | None) -> pathlib.Path:
    found = npz_files(folder, name, ending)
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"{folder} has no features of {name}: expected {folder / name}{ending or '.<ending>'}")
    endings = ", ".join(p.name.removeprefix(pathlib.PurePosixPath(name).name) for p in found)
    raise InputError(f"{folder} has several files for {name} ({endings}): name the ending as feature.kind")
