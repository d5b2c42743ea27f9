"""Photos to validate on while something is trained: shrunk, with what takes one to the other."""

import numpy as np
import PIL.Image

from localize.io.benchmarks.sequences import read_sequence
from localize.io.images import read_photo


def shrunk_sequence(folder: str, edge_px: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(photos (H, W, 3) uint8, homographies (3, 3) from the first to each) of a sequence of HPatches, shrunk to this
    longer side; InputError if the folder is none."""
    sequence = read_sequence(folder)
    photos, sizes = zip(*(shrunk(read_photo(path), edge_px) for path in sequence.photos), strict=True)
    back = np.linalg.inv(sizes[0])
    return list(photos), [size @ H @ back for size, H in zip(sizes, sequence.homographies, strict=True)]


def shrunk(photo: np.ndarray, edge_px: int) -> tuple[np.ndarray, np.ndarray]:
    """The photo (H, W, 3) uint8 at most that long, and what takes its pixels (3, 3) there."""
    picture = PIL.Image.fromarray(photo)
    picture.thumbnail((edge_px, edge_px), PIL.Image.Resampling.BOX)
    return np.array(picture), np.diag([picture.size[0] / photo.shape[1], picture.size[1] / photo.shape[0], 1])
