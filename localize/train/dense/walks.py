"""Pairs of crops of photos taken on walks, at one hour and another: the teacher's own matches say what corresponds.

Only matches that one epipolar geometry agrees with are used, and only photos that have enough of them.
"""

import functools
import itertools
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import poselib

from localize.components import check_component
from localize.matching.mutual import MutualNearest
from localize.train.dense.photos import with_features
from localize.train.dense.teacher import Teacher
from localize.train.dense.views import DensePair, crop, grey, moved, zoom
from localize.train.photos.photometric import random_change

MATCHER = MutualNearest(ratio=1.0, max_distance=1.2)
RANSAC = {"max_epipolar_error": 1.5, "min_iterations": 200, "max_iterations": 2000, "seed": 0}
LEAST = 40  # matches that must agree, and
LEAST_SHARE = 0.3  # their share of all
ZOOM = 0.35  # logarithm of how much more or less each crop of a pair is enlarged
NEXT = 6  # photos after each one that it is matched with


@dataclass(frozen=True)
class WalkPairs:
    """Photos in the order of a walk; each is paired with the next ones, and with that of its name on other walks."""

    walks: tuple  # of tuples of (folder, name)
    teacher: Teacher
    size: int = 256  # px, side of a crop
    points: int = 128  # corresponding places of a pair at most
    max_size_px: int = 1024  # larger photos are shrunk to this longer side
    min_zoom: float = 0.5
    max_zoom: float = 1.6
    across: float = 0.5  # share of the pairs that are of two walks, if there are any
    night_share: float = 0.0
    augment: float = 0.3  # share of the second crops that get other light

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("size", "points", "max_size_px", "min_zoom"))

    @functools.cached_property
    def _candidates(self) -> tuple[list, list]:
        """Pairs of two walks, pairs of one."""
        by_name: dict[str, list] = {}
        for photo in itertools.chain(*self.walks):
            by_name.setdefault(pathlib.PurePosixPath(photo[1]).name, []).append(photo)
        two = [pair for photos in by_name.values() for pair in itertools.permutations(photos, 2)]
        one = [(w[i], w[j]) for w in self.walks for i in range(len(w)) for j in range(i + 1, min(i + 1 + NEXT, len(w)))]
        return two, one

    def pair(self, rng: np.random.Generator) -> DensePair | None:
        """A pair; None where too few matches of the two photos agree."""
        two, one = self._candidates
        pairs = two if two and (rng.random() < self.across or not one) else one
        photos = pairs[rng.integers(len(pairs))] if pairs else None
        rows = _verified(self.teacher, *photos, self.max_size_px) if photos else None
        if rows is None:
            return None
        seen = [with_features(self.teacher, *p, self.max_size_px) for p in photos]
        middle, factor = rng.integers(len(rows)), np.exp(rng.uniform(*np.log([self.min_zoom, self.max_zoom])))
        views, places, inside, known = [], [], np.ones(len(rows), bool), []
        for (photo, features, shrink), row in zip(seen, rows.T, strict=True):
            xy = features.keypoints * shrink
            center = xy[row[middle]] + rng.uniform(-0.2, 0.2, 2) * self.size
            own = factor * np.exp(rng.uniform(-ZOOM, ZOOM))
            homography = zoom(center, own, self.size, rng.uniform(-10, 10))
            there, shown = moved(homography, xy, self.size)
            views.append(crop(photo, homography, self.size))
            places.append(there[row])
            inside &= shown[row]
            known.append(there[shown])
        if rng.random() < self.augment:
            views[1] = random_change(views[1], rng, night_share=self.night_share)
        both = np.sort(rng.permutation(np.flatnonzero(inside))[: self.points])
        taught = seen[0][1].descriptors[rows[both, 0]]
        return DensePair(*map(grey, views), (places[0][both], places[1][both]), taught, tuple(known))


@functools.lru_cache(maxsize=100_000)
def _verified(
    teacher: Teacher, first: tuple[pathlib.Path, str], second: tuple[pathlib.Path, str], max_size_px: int
) -> np.ndarray | None:
    """(M, 2) rows of the matches of two photos that one fundamental matrix agrees with; None if they are too few."""
    (_, a, s), (_, b, t) = (with_features(teacher, *photo, max_size_px) for photo in (first, second))
    rows = MATCHER.match(a, b).rows
    if len(rows) < LEAST:
        return None
    x, y = a.keypoints[rows[:, 0]] * s, b.keypoints[rows[:, 1]] * t
    agree = np.array(poselib.estimate_fundamental(x.astype(float), y.astype(float), RANSAC, {})[1]["inliers"], bool)
    return rows[agree] if agree.sum() >= max(LEAST, LEAST_SHARE * len(rows)) else None
