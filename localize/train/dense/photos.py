"""Pairs of crops of one photo: nearly as it was taken, and through a homography and in other light."""

import functools
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
from scipy.ndimage import uniform_filter

from localize.components import check_component
from localize.io.images import read_photo
from localize.train.dense.teacher import Teacher
from localize.train.dense.views import DensePair, Exact, crop, grey, moved, zoom
from localize.train.patches.from_photos import MILD
from localize.train.photos.homographies import jacobian, random_homography
from localize.train.photos.photometric import random_change
from localize.types import Features

KEPT = 400  # photos in memory
SEEN, SEEN_PX = 0.3, 17  # least correlation of the light before and after, and the side of the square it is taken in
SLIP_PX = 0.7  # how far second places lie from where they should, as those of a detector do


@dataclass(frozen=True)
class HomographyPairs:
    """Photos to warp, with a teacher's keypoints; a pair is drawn from one of them."""

    photos: tuple  # (folder, name) of each
    teacher: Teacher
    size: int = 256  # px, side of a crop
    points: int = 128  # corresponding places of a pair at most
    max_size_px: int = 1024  # larger photos are shrunk to this longer side
    min_zoom: float = 0.5  # first crops show the photo at this size
    max_zoom: float = 1.6  # to this one: small photos are enlarged before features are looked for
    rotation_deg: float = 35.0
    min_scale: float = 0.4
    max_scale: float = 2.4
    shear: float = 0.3  # tangent
    perspective: float = 0.4  # change of depth from the centre to the edge, as a share
    night_share: float = 0.4  # of the second crops
    original_share: float = 0.3  # of the first crops change too, but mildly

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("size", "points", "max_size_px", "min_zoom", "min_scale", "max_scale"))

    def pair(self, rng: np.random.Generator) -> DensePair | None:
        """A pair; None where the photo is smaller than half a crop, or no keypoint is seen in both crops."""
        photo, features, shrink = with_features(
            self.teacher, *self.photos[rng.integers(len(self.photos))], self.max_size_px
        )
        sides = np.array(photo.shape[1::-1], float)
        least = max(self.min_zoom, self.size / sides.min())
        if least > 2:
            return None
        factor = np.exp(rng.uniform(np.log(least), np.log(max(least, self.max_zoom))))
        reach = np.minimum(self.size / 2 / factor, sides / 2)
        first = zoom(rng.uniform(reach, sides - reach), factor, self.size, rng.uniform(-10, 10))
        limits = {"rotation_deg": self.rotation_deg, "scale": (self.min_scale, self.max_scale)}
        between = random_homography(
            rng, (self.size, self.size), shear=self.shear, perspective=self.perspective, **limits
        )
        second = between @ first
        (a, in_a), (b, in_b) = (moved(h, features.keypoints * shrink, self.size) for h in (first, second))
        one, two = crop(photo, first, self.size), crop(photo, second, self.size)
        changed = random_change(two, rng, night_share=self.night_share)
        in_b[in_b] = still_seen(two, changed, b[in_b])
        if rng.random() < self.original_share:
            one = random_change(one, rng, MILD, 0)
        both = np.sort(rng.permutation(np.flatnonzero(in_a & in_b))[: self.points])
        slip = rng.uniform(-SLIP_PX, SLIP_PX, (len(both), 2)).astype(np.float32)
        places = a[both], (b[both] + slip).clip(0, self.size - 1)
        exact = Exact(b[both], jacobian(between, a[both] + 0.5).astype(np.float32))
        return DensePair(grey(one), grey(changed), places, features.descriptors[both], (a[in_a], b[in_b]), exact)


def still_seen(before: np.ndarray, after: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Which places (N, 2) of a crop still show in other light what they did: nothing is learned from what is black."""
    a, b = (image.mean(2, dtype=np.float32) for image in (before, after))
    mean_a, mean_b, aa, bb, ab = (uniform_filter(x, SEEN_PX) for x in (a, b, a * a, b * b, a * b))
    spread = ((aa - mean_a**2).clip(0) + 1) * ((bb - mean_b**2).clip(0) + 1)  # 1: one grey value is no contrast
    x, y = np.rint(xy).astype(int).T
    return ((ab - mean_a * mean_b) / np.sqrt(spread))[y, x] > SEEN


@functools.lru_cache(maxsize=KEPT)
def with_features(
    teacher: Teacher, folder: pathlib.Path, name: str, max_size_px: int
) -> tuple[np.ndarray, Features, float]:
    """(photo (H, W, 3) uint8 at most that long, the teacher's features of the original, how much it shrank)."""
    photo = read_photo(folder / name)
    features = teacher.features(name, photo)
    shrink = min(1.0, max_size_px / max(photo.shape[:2]))
    if shrink < 1:
        size = [round(shrink * n) for n in photo.shape[1::-1]]
        photo = np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.LANCZOS))
    return photo, features, shrink
