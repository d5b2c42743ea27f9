"""The role of a refinement: from a photo and its matches to a pose that one can trust."""

import functools
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from localize.kernels.window_search import rows_by_point
from localize.pose.base import PoseEstimator
from localize.types import ImageList, PointRows, PoseEstimate, View

PAIRS = 20_000


@dataclass(frozen=True, eq=False)
class SeenPoints:
    """The map's points, their descriptors, and from where they were seen."""

    references: ImageList  # with poses
    rows: PointRows

    @functools.cached_property
    def centers(self) -> np.ndarray:
        """Camera centres of the references, (I, 3) m."""
        return np.array([image.pose.center for image in self.references]).reshape(-1, 3)

    @functools.cached_property
    def by_point(self) -> tuple[np.ndarray, np.ndarray]:
        """(first (P + 1,), rows (M,)): the rows of point p are rows[first[p]:first[p + 1]]."""
        return rows_by_point(self.rows.point, len(self.rows.points))

    @functools.cached_property
    def _chance(self) -> np.ndarray:
        """Similarities of observations drawn at random, ascending."""
        rng, rows = np.random.default_rng(0), self.rows.descriptors
        a, b = (np.sort(rng.integers(0, len(rows), PAIRS)) for _ in range(2))
        rng.shuffle(b)
        return np.sort((rows[a].astype(np.float32) * rows[b].astype(np.float32)).sum(1))

    def rare_similarity(self, share: float) -> float:
        """The similarity that only this share of random pairs of descriptors reaches, whatever the feature."""
        return float(self._chance[round((1 - share) * (PAIRS - 1))])

    def image_of(self, rows: np.ndarray) -> np.ndarray:
        """The reference in which each of the rows (R,) was observed, (R,) int."""
        return np.searchsorted(self.rows.image_indptr, rows, side="right") - 1

    def votes(self, points: np.ndarray) -> np.ndarray:
        """How many of the points (N,) each reference sees, (I,) int."""
        first, rows = self.by_point
        seen = [rows[first[p] : first[p + 1]] for p in np.unique(points)]
        images = self.image_of(np.concatenate(seen)) if seen else np.zeros(0, np.int64)
        return np.bincount(images, minlength=len(self.references))

    def rows_of(self, images: np.ndarray) -> np.ndarray:
        """All rows observed in these references, (R,) int64."""
        indptr = self.rows.image_indptr
        return np.concatenate([np.arange(indptr[i], indptr[i + 1]) for i in images] or [np.zeros(0, np.int64)])


@runtime_checkable
class Refinement(Protocol):
    """Frozen dataclass."""

    VERSION: int

    def estimate(self, view: View, seen: SeenPoints, solver: PoseEstimator) -> PoseEstimate:
        """The pose of a photo, accepted or refused by the solver's rule; the same input gives the same pose."""
        ...
