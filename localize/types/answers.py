"""From a query's nearest points to its pose, and what the poses are worth."""

from dataclasses import dataclass

import numpy as np

from localize.types.checks import check_array
from localize.types.features import Features
from localize.types.priors import Prior
from localize.types.scenes import Camera, Pose

LEAF, FRAME = 1, 2  # bits of Matches2D3D.source: found through a prior leaf, a prior frame, or both


@dataclass(frozen=True, eq=False)
class Nearest:
    """The most similar 3D point of each of a query's Q keypoints, and how similar the best other point is.

    Similarities are dot products of unit descriptors. Of equally similar points the one with the smaller row counts.
    """

    similarity: np.ndarray  # (Q,) float32, -inf = no point
    point: np.ndarray  # (Q,) int32 into PointRows.points, -1 = none
    second: np.ndarray  # (Q,) float32, the largest similarity of any other point, -inf = no other point
    source: np.ndarray  # (Q,) uint8, bits LEAF and FRAME; 0 = none
    compared: float = 0.0  # mean number of rows, or of an index's items, that a keypoint was compared with

    def __post_init__(self):
        q = len(check_array(self, "similarity", np.float32, (None,)))
        check_array(self, "point", np.int32, (q,))
        check_array(self, "second", np.float32, (q,))
        check_array(self, "source", np.uint8, (q,))

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True, eq=False)
class Matches2D3D:
    """Keypoints of one query matched to 3D points, best first; M may be 0."""

    xy: np.ndarray  # (M, 2) float64 px
    xyz: np.ndarray  # (M, 3) float64 m
    keypoint: np.ndarray  # (M,) int32
    point: np.ndarray  # (M,) int32
    distance: np.ndarray  # (M,) float32, between unit descriptors
    source: np.ndarray  # (M,) uint8, bits LEAF and FRAME
    candidates_per_keypoint: float = 0.0  # mean number of rows or index items a keypoint was compared with

    def __post_init__(self):
        m = len(check_array(self, "xy", np.float64, (None, 2)))
        check_array(self, "xyz", np.float64, (m, 3))
        for name, dtype in (
            ("keypoint", np.int32),
            ("point", np.int32),
            ("distance", np.float32),
            ("source", np.uint8),
        ):
            check_array(self, name, dtype, (m,))

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True, eq=False)
class View:
    """All that is known of one photo when its pose is asked for."""

    features: Features
    matches: Matches2D3D
    camera: Camera
    prior: Prior | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a pose rests on: the counts that its confidence is made of."""

    keypoints: int  # of the photo
    matches: int  # of the first round
    first_inliers: int  # of these that agree with the first pose
    in_view: int = 0  # map points that the photo should show
    found: int = 0  # of these that a similar keypoint was found for, and that agree with the last pose
    by_chance: float = 0.0  # how many of these would be found at wrong places of this photo
    spread: float = 0.0  # share of the photo's area, 0..1, that the inliers cover
    depth_m: float = 0.0  # median distance to the points found
    rival: float = 0.0  # surprise (nats) of the best other pose that was tried, see pose/refinement/confidence.py


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """A pose, or None and the reason why there is none."""

    pose: Pose | None
    inliers: np.ndarray  # (M,) bool, of the matches of the first round
    reason: str = ""  # why it failed; empty when it did not
    confidence: float | None = None  # probability, 0..1, that the pose is right; None: nothing judged it
    covariance: np.ndarray | None = None  # (6, 6) of rotation (rad) and translation (m), see geometry/refine.py
    evidence: Evidence | None = None
    camera: Camera | None = None  # the intrinsics as estimated with the pose; None: those that were given
    notes: tuple[str, ...] = ()  # what of the query contradicts the matches, one sentence each

    def __post_init__(self):
        check_array(self, "inliers", bool, (None,))
        if self.covariance is not None:
            check_array(self, "covariance", np.float64, (6, 6))
        if self.pose is None and not self.reason:
            raise ValueError("a failed PoseEstimate must say why in `reason`")

    @property
    def num_matches(self) -> int:
        """Number of matches the estimate was made from."""
        return len(self.inliers)

    @property
    def num_inliers(self) -> int:
        """Number of matches that agree with the best pose, also where that was too few."""
        return int(self.inliers.sum())

    @property
    def position_sd_m(self) -> float | None:
        """Standard deviation of the camera centre, m (root of the summed variances of its three axes)."""
        return None if self.covariance is None else float(np.sqrt(np.trace(self.covariance[3:, 3:])))

    @property
    def orientation_sd_deg(self) -> float | None:
        """Standard deviation of the orientation, deg (likewise)."""
        return None if self.covariance is None else float(np.degrees(np.sqrt(np.trace(self.covariance[:3, :3]))))


@dataclass(frozen=True, eq=False)
class Report:
    """Errors per query (inf where it failed) and recall at the thresholds per condition, over ALL its queries."""

    query_names: tuple[str, ...]
    error_m: np.ndarray  # (Q,) float64
    error_deg: np.ndarray  # (Q,) float64
    conditions: tuple[str, ...]  # "all", then each tag
    thresholds: tuple[tuple[tuple[float, float], ...], ...]  # of each condition
    recall: np.ndarray  # (conditions, thresholds) float64 in 0..1
    median_m: np.ndarray  # (conditions,) float64
    median_deg: np.ndarray  # (conditions,) float64
    num_queries: np.ndarray  # (conditions,) int64
    num_localized: np.ndarray  # (conditions,) int64
    unit: str = "m"  # of the lengths, whatever the fields' names say; see `Scene`
