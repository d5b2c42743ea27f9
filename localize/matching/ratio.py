"""Query keypoints to 3D points: ratio test between distinct points."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import USUAL, check_component
from localize.types import Features, Matches2D3D, Nearest, PointRows


@dataclass(frozen=True)
class RatioTest:
    """A keypoint's nearest point is accepted if it is clearly nearer than any other 3D point it was compared with.

    Lowe, IJCV 2004, took a ratio of 0.8; with 0.9 both SIFT and CRBNet localize more on Minitown's training town.
    """

    ratio: float | None = None  # nearest < ratio * nearest of another 3D point; None: what suits the feature, or 0.9
    single_max_distance: float = 0.8  # accepted distance where a keypoint was compared with one point only
    unique_points: bool = True  # of several keypoints matched to one 3D point keep the nearest

    VERSION: ClassVar[int] = 3
    SUITED: ClassVar[dict] = {"ratio": "point_ratio"}

    def __post_init__(self):
        check_component(self, positive=("ratio", "single_max_distance"))

    def match(self, query: Features, nearest: Nearest, rows: PointRows) -> Matches2D3D:
        """Matches, the clearest first: in ascending order of distance by the largest distance accepted.

        That tells right from wrong better than the distance does, and RANSAC draws its samples in this order.
        """
        d1, d2 = (np.sqrt(np.maximum(0, 2 - 2 * s)) for s in (nearest.similarity, nearest.second))
        limit = np.where(np.isfinite(nearest.second), (self.ratio or USUAL.point_ratio) * d2, self.single_max_distance)
        keypoint = np.flatnonzero((nearest.point >= 0) & (d1 < limit))
        if self.unique_points:
            keypoint = keypoint[np.argsort(d1[keypoint], kind="stable")]
            keypoint = keypoint[np.unique(nearest.point[keypoint], return_index=True)[1]]
        keypoint = keypoint[np.argsort(d1[keypoint] / limit[keypoint], kind="stable")]
        point = nearest.point[keypoint]
        return Matches2D3D(
            xy=query.keypoints[keypoint],
            xyz=rows.points[point],
            keypoint=keypoint,
            point=point,
            distance=d1[keypoint],
            source=nearest.source[keypoint],
            candidates_per_keypoint=nearest.compared,
        )
