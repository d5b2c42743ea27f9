"""The role of a refinement: from a photo and its matches to a pose that one can trust."""

import functools
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from localize.pose.base import PoseEstimator
from localize.types import ImageList, PointRows, PoseEstimate, View


@dataclass(frozen=True, eq=False)
class SeenPoints:
    """The map's points, their descriptors, and from where they were seen."""

    references: ImageList  # with poses
    rows: PointRows

    @functools.cached_property
    def centers(self) -> np.ndarray:
        """Camera centres of the references, (I, 3) m."""
        return np.array([image.pose.center for image in self.references]).reshape(-1, 3)


@runtime_checkable
class Refinement(Protocol):
    """Frozen dataclass."""

    VERSION: int

    def estimate(self, view: View, seen: SeenPoints, solver: PoseEstimator) -> PoseEstimate:
        """The pose of a photo, accepted or refused by the solver's rule; the same input gives the same pose."""
        ...
