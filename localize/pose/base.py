"""The role of a pose estimator: matches and a camera in, a pose or an honest failure out."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from localize.components import USUAL, check_component
from localize.types import Camera, InputError, Matches2D3D, Pose, PoseEstimate

MIN_MATCHES = 4


@runtime_checkable
class PoseEstimator(Protocol):
    """Frozen dataclass. Thresholds that hang on the feature are named in `SUITED`, see `localize.components`."""

    VERSION: int

    def estimate(self, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """cam_from_world, or a PoseEstimate without pose that says why; the same input gives the same pose."""
        ...


@dataclass(frozen=True)
class Ransac:
    """What our estimators share: the settings of a RANSAC, and when not to try."""

    max_error_px: float = 12.0  # reprojection error of an inlier
    min_inliers: int | None = None  # fewer: the query failed; None: what suits the feature, or 12
    min_iterations: int = 100
    max_iterations: int = 10_000
    confidence: float = 0.99999  # that one of the samples was free of outliers
    seed: int = 0

    SUITED: ClassVar[dict] = {"min_inliers": "min_inliers"}

    def __post_init__(self):
        positive = ("max_error_px", "min_inliers", "min_iterations", "max_iterations")
        check_component(self, positive=positive, shares=("confidence",))
        if self.min_iterations > self.max_iterations:
            name = type(self).__name__
            raise InputError(
                f"{name}.min_iterations is {self.min_iterations}, over max_iterations {self.max_iterations}"
            )

    def estimate(self, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """cam_from_world from matches in pixels of this camera."""
        if len(matches) < MIN_MATCHES:
            reason = f"matches with the map: {len(matches)}, at least {MIN_MATCHES} are needed"
            return failed(len(matches), reason)
        return self.solve(matches, camera)

    def solve(self, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """The same where there are enough matches to try."""
        raise NotImplementedError


def failed(num_matches: int, reason: str) -> PoseEstimate:
    """A PoseEstimate without pose."""
    return PoseEstimate(None, np.zeros(num_matches, bool), reason)


def checked(R: np.ndarray, t: np.ndarray, inliers: np.ndarray, min_inliers: int | None) -> PoseEstimate:
    """The estimate, unless it is not finite or rests on too few inliers."""
    count = int(np.count_nonzero(inliers))
    min_inliers = USUAL.min_inliers if min_inliers is None else min_inliers
    if count < min_inliers:
        reason = f"{count} inliers among {len(inliers)} matches, at least {min_inliers} are needed"
        return PoseEstimate(None, np.asarray(inliers, bool), reason)
    try:
        return PoseEstimate(Pose(R, t), np.asarray(inliers, bool))
    except ValueError:
        return failed(len(inliers), "the solver returned no valid pose")
