"""No refinement: the solver's pose, accepted by its number of inliers."""

from dataclasses import dataclass
from typing import ClassVar

from localize.pose.base import PoseEstimator
from localize.pose.refinement.base import SeenPoints
from localize.types import PoseEstimate, View


@dataclass(frozen=True)
class NoRefinement:
    """One round of matching, one RANSAC."""

    VERSION: ClassVar[int] = 1

    def estimate(self, view: View, seen: SeenPoints, solver: PoseEstimator) -> PoseEstimate:
        """See `Refinement.estimate`."""
        return solver.estimate(view.matches, view.camera, view.prior)
