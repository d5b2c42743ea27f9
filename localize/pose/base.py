"""The role of a pose estimator: matches and a camera in, a pose or an honest failure out."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from localize.components import USUAL, check_component
from localize.pose.focal import better_focal
from localize.pose.priors import notes_on_failure
from localize.types import Camera, Image, InputError, Matches2D3D, Pose, PoseEstimate, Prior, View

MIN_MATCHES = 4


@runtime_checkable
class PoseEstimator(Protocol):
    """Frozen dataclass. Thresholds that hang on the feature are named in `SUITED`, see `localize.components`."""

    VERSION: int
    honours: frozenset[str]  # parts of a Prior that it uses: gravity, position, focal; others are refused by name
    min_confidence: float  # that a pose is right, where something judges it; less: the query failed
    min_inliers: int | None  # that a pose must rest on where nothing does, or where it is over the usual number

    def solve(self, matches: Matches2D3D, camera: Camera, prior: Prior | None = None) -> PoseEstimate:
        """The best pose there is, on however few inliers; without pose, and saying why, where there is none at all."""
        ...

    def estimate(self, matches: Matches2D3D, camera: Camera, prior: Prior | None = None) -> PoseEstimate:
        """The same if it rests on enough inliers, else a PoseEstimate without pose; the same input, the same pose."""
        ...


@runtime_checkable
class SolvesRigs(Protocol):
    """A PoseEstimator that can also solve for several photos of one moment together."""

    def solve_rig(self, views: list[View], cam_from_rig: list[Pose]) -> list[PoseEstimate]:
        """`solve` for the photos of a rig: the poses of all, on however few inliers."""
        ...


def unfit_for_rigs(solver, queries: Iterable[Image]) -> list[str]:
    """A sentence if queries come in rigs or sequences and the solver knows none."""
    mounted = next((q for q in queries if q.mounted is not None), None)
    if mounted is None or isinstance(solver, SolvesRigs):
        return []
    return [
        f"{type(solver).__name__} solves for one photo at a time, but {mounted.name} and others come in rigs or "
        "sequences: take pose=poselib, or leave out dataset.rigs and dataset.odometry"
    ]


@dataclass(frozen=True)
class Ransac:
    """What our estimators share: the settings of a RANSAC, and when not to try."""

    max_error_px: float = 12.0  # reprojection error of an inlier, in a photo of 1600 px; less in smaller ones
    min_confidence: float = 0.5  # that the pose is right, 0..1; less: the query failed
    min_inliers: int | None = None  # the same by a count, where nothing judges confidence; None: what suits the feature
    keypoint_px: float | None = (
        None  # what keypoints are exact to: no limit is below 6 of it; None: what suits likewise
    )
    min_iterations: int = 100
    max_iterations: int = 10_000
    confidence: float = 0.99999  # that one of the samples was free of outliers
    seed: int = 0

    SUITED: ClassVar[dict] = {"min_inliers": "min_inliers", "keypoint_px": "keypoint_px"}
    RANGES: ClassVar[dict] = {"min_confidence": (0, 1)}
    honours: ClassVar[frozenset] = frozenset()

    def __post_init__(self):
        positive = ("max_error_px", "min_inliers", "min_iterations", "max_iterations")
        check_component(self, positive=positive, shares=("confidence",))
        name = type(self).__name__
        if self.min_iterations > self.max_iterations:
            raise InputError(
                f"{name}.min_iterations is {self.min_iterations}, over max_iterations {self.max_iterations}"
            )

    def estimate(self, matches: Matches2D3D, camera: Camera, prior: Prior | None = None) -> PoseEstimate:
        """cam_from_world from matches in pixels of this camera, if it rests on enough inliers."""
        found = self.solve(matches, camera, prior)
        least = USUAL.min_inliers if self.min_inliers is None else self.min_inliers
        if found.pose is None:
            return found
        if found.num_inliers >= least:
            return self.doubted(found, matches, camera)
        reason = found.reason or too_few(found.num_inliers, len(matches), least)
        return dataclasses.replace(found, pose=None, reason=reason, notes=notes_on_failure(prior))

    def doubted(self, found: PoseEstimate, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """With a note if its matches fit another focal length than the given one; not if it was estimated."""
        if found.pose is None or found.camera is not None:
            return found
        note = better_focal(matches.xy, matches.xyz, camera, found.pose, self.error_px(camera))
        return found if note is None else dataclasses.replace(found, notes=(*found.notes, note))

    def solve(self, matches: Matches2D3D, camera: Camera, prior: Prior | None = None) -> PoseEstimate:
        """cam_from_world from matches in pixels of this camera, on however few inliers."""
        if len(matches) < MIN_MATCHES:
            reason = f"{len(matches) or 'no'} matches with the map, at least {MIN_MATCHES} are needed"
            return failed(len(matches), reason)
        return self.search(matches, camera, prior)

    def error_px(self, camera: Camera) -> float:
        """The largest reprojection error of an inlier in photos of this size."""
        return max(self.max_error_px * camera.px_of_1600, 6 * (self.keypoint_px or 0.0))

    def search(self, matches: Matches2D3D, camera: Camera, prior: Prior | None) -> PoseEstimate:
        """The same where there are enough matches to try."""
        raise NotImplementedError


def too_few(inliers: int, matches: int, least: int) -> str:
    """The reason of a pose that rests on too few inliers."""
    return f"only {inliers} of its {matches} matches with the map agree on a pose, at least {least} are needed"


def failed(num_matches: int, reason: str) -> PoseEstimate:
    """A PoseEstimate without pose."""
    return PoseEstimate(None, np.zeros(num_matches, bool), reason)


def checked(R: np.ndarray, t: np.ndarray, inliers: np.ndarray) -> PoseEstimate:
    """The estimate, unless it is not finite or has no more inliers than any four matches have."""
    count = int(np.count_nonzero(inliers))
    if count < MIN_MATCHES:
        return failed(len(inliers), f"no pose agrees with {MIN_MATCHES} of the {len(inliers)} matches")
    try:
        return PoseEstimate(Pose(R, t), np.asarray(inliers, bool))
    except ValueError:
        return failed(len(inliers), "the solver returned no valid pose")
