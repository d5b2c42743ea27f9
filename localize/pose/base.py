"""The role of a pose estimator: matches and a camera in, a pose or an honest failure out."""

from typing import Protocol, runtime_checkable

import numpy as np

from localize.components import USUAL
from localize.types import Camera, InputError, Matches2D3D, Pose, PoseEstimate

MIN_MATCHES = 4
POSITIVE = ("max_error_px", "min_inliers", "min_iterations", "max_iterations")  # fields of every RANSAC


@runtime_checkable
class PoseEstimator(Protocol):
    """Frozen dataclass. Thresholds that hang on the feature are named in `SUITED`, see `localize.components`."""

    VERSION: int

    def estimate(self, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """cam_from_world, or a PoseEstimate without pose that says why; the same input gives the same pose."""
        ...


def check_iterations(ransac) -> None:
    """Refuse more iterations at least than at most."""
    if ransac.min_iterations > ransac.max_iterations:
        name = type(ransac).__name__
        raise InputError(
            f"{name}.min_iterations is {ransac.min_iterations}, over max_iterations {ransac.max_iterations}"
        )


def failed(num_matches: int, reason: str) -> PoseEstimate:
    """A PoseEstimate without pose."""
    return PoseEstimate(None, np.zeros(num_matches, bool), reason)


def too_few(num_matches: int) -> PoseEstimate | None:
    """The failure if there are too few matches to try."""
    if num_matches < MIN_MATCHES:
        return failed(num_matches, f"matches with the map: {num_matches}, at least {MIN_MATCHES} are needed")
    return None


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
