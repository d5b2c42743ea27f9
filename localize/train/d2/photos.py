"""Pairs of crops of single photos: one as it was taken, one through a homography and in other light."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image

from localize.components import check_component
from localize.geometry.homography import apply
from localize.io.images import read_photo
from localize.train.d2.pairs import HomographyMove, TrainingPair, window
from localize.train.patches.from_photos import MILD
from localize.train.photos.homographies import random_homography, warp
from localize.train.photos.photometric import random_change

WINDOW = 2  # sides of a crop: what is warped, so that a crop of it seldom shows where the photo ends


@dataclass(frozen=True)
class WarpedPhotos:
    """Photos to warp; a pair is drawn from one of them."""

    photos: tuple  # paths
    size: int = 256  # px, side of a crop
    max_size_px: int = 1024  # larger photos are shrunk to this longer side, and all of them at random down to half
    rotation_deg: float = 30.0
    min_scale: float = 0.6
    max_scale: float = 1.6
    shear: float = 0.2  # tangent
    perspective: float = 0.25  # change of depth from the centre to the edge, as a share
    night_share: float = 0.4  # of the second crops
    original_share: float = 0.3  # of the first crops change too, but mildly

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("size", "max_size_px", "min_scale", "max_scale"))

    def pair(self, rng: np.random.Generator) -> TrainingPair | None:
        """A pair; None where the photo is smaller than a crop."""
        photo = self._shrunk(read_photo(pathlib.Path(self.photos[rng.integers(len(self.photos))])), rng)
        height, width = photo.shape[:2]
        if min(height, width) < self.size:
            return None
        seen = self._cut(photo, rng.uniform((0, 0), (width, height)), (WINDOW * self.size,) * 2)[0]
        frame = seen.shape[1::-1]
        limits = {"rotation_deg": self.rotation_deg, "scale": (self.min_scale, self.max_scale)}
        homography = random_homography(rng, frame, shear=self.shear, perspective=self.perspective, **limits)
        center = rng.uniform(np.array(frame) / 4, np.array(frame) * 3 / 4)
        first, corner = self._cut(seen, center, (self.size,) * 2)
        second, moved = self._cut(warp(seen, homography), apply(homography, center[None])[0], (self.size,) * 2)
        between = _shift(-np.array(moved)) @ homography @ _shift(np.array(corner))
        if rng.random() < self.original_share:
            first = random_change(first, rng, MILD, 0)
        second = random_change(second, rng, night_share=self.night_share)
        return TrainingPair(np.ascontiguousarray(first), second, HomographyMove(between))

    def _shrunk(self, photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The photo at a random size, not smaller than a crop where it was larger."""
        factor = rng.uniform(0.5, 1.0) * min(1.0, self.max_size_px / max(photo.shape[:2]))
        factor = min(1.0, max(factor, self.size / min(photo.shape[:2])))
        size = [int(np.ceil(factor * n)) for n in photo.shape[1::-1]]
        return np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.LANCZOS, reducing_gap=2.0))

    @staticmethod
    def _cut(photo: np.ndarray, center: np.ndarray, side: tuple[int, int]):
        """(part of a photo around a place as large as `side`, or as the photo; its corner)."""
        width, height = (min(n, m) for n, m in zip(side, photo.shape[1::-1], strict=True))
        x = window(center, photo.shape[1::-1], width)[0]
        y = window(center, photo.shape[1::-1], height)[1]
        return photo[y : y + height, x : x + width], (x, y)


def _shift(xy: np.ndarray) -> np.ndarray:
    return np.array([[1, 0, xy[0]], [0, 1, xy[1]], [0, 0, 1]], float)
