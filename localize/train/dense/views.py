"""What a dense feature learns from: two grey crops, corresponding places, and what a teacher found in them.

Places are in px from the centre of a crop's first pixel. Homographies are between COLMAP's pixels.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import PIL.Image

from localize.geometry.homography import apply
from localize.train.photos.homographies import jacobian

GREY = np.array([0.299, 0.587, 0.114], np.float32)
FINEST = 4  # times finer than a crop that it is drawn before its pixels are averaged


@dataclass(frozen=True, eq=False)
class Exact:
    """Where the first places of a pair lie in the second crop, to a fraction of a pixel."""

    places: np.ndarray  # (N, 2) float32
    moves: np.ndarray  # (N, 2, 2) float32: px of the second crop that a px of the first one is there


@dataclass(frozen=True, eq=False)
class DensePair:
    """Two crops of one place, (S, S) uint8 grey."""

    first: np.ndarray
    second: np.ndarray
    places: tuple[np.ndarray, np.ndarray]  # (N, 2) float32 each: row i of both is one point
    taught: np.ndarray | None = None  # (N, D) a teacher's descriptors of the points; None: not known
    keypoints: tuple[np.ndarray, np.ndarray] | None = None  # (K, 2), (L, 2): where it fires; None: not known
    exact: Exact | None = None  # None: the places are as good as matches are


class DenseSource(Protocol):
    """Where pairs come from."""

    def pair(self, rng: np.random.Generator) -> DensePair | None:
        """One pair; None if this draw gave none."""


def crop(photo: np.ndarray, homography: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8: what a photo (H, W, 3) shows through a homography from its pixels to the crop's; black
    where it ends. Where it shrinks, it is drawn finer and averaged, so that nothing aliases."""
    back = np.linalg.inv(homography)
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size], [size / 2, size / 2]], float)
    area = np.abs(np.linalg.det(jacobian(back, corners)))
    finer = int(np.clip(np.ceil(np.sqrt(np.median(area))), 1, FINEST))
    back = back @ np.diag([1 / finer, 1 / finer, 1.0])
    drawn = PIL.Image.fromarray(photo).transform(
        (size * finer, size * finer),
        PIL.Image.Transform.PERSPECTIVE,
        (back / back[2, 2]).ravel()[:8].tolist(),
        PIL.Image.Resampling.BICUBIC,
    )
    return np.asarray(drawn.reduce(finer) if finer > 1 else drawn)


def grey(colours: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of (H, W, 3) uint8."""
    return np.rint(colours @ GREY).astype(np.uint8)


def moved(homography: np.ndarray, xy: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of a crop (N, 2) float32 of a photo's keypoints (N, 2) in COLMAP's pixels, and which lie inside it."""
    in_front = np.column_stack([xy, np.ones(len(xy))]) @ homography[2] > 0
    places = apply(homography, np.asarray(xy, np.float64)) - 0.5
    inside = in_front & (places >= 0).all(1) & (places <= size - 1).all(1)
    return places.astype(np.float32), inside


def zoom(center: np.ndarray, factor: float, size: int, turn_deg: float = 0.0) -> np.ndarray:
    """(3, 3) from a photo's pixels to those of a crop that shows `center` (2,) in its middle, enlarged by `factor`."""
    angle = np.radians(turn_deg)
    matrix = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.vstack([np.column_stack([matrix, size / 2 - matrix @ center]), [0, 0, 1]])
