"""Query keypoints to 3D points: exact search among the candidates, ratio test between distinct points."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.kernels.nearest import best_two_points_dense, best_two_points_sparse
from localize.types import FRAME, LEAF, Candidates, Features, Matches2D3D, PointRows

BLOCK = 512  # query keypoints at a time against the frames' rows


@dataclass(frozen=True)
class RatioTest:
    """Nearest row by the real-valued descriptor; accepted if clearly nearer than the nearest row of another point.

    Lowe, IJCV 2004, took a ratio of 0.8; with 0.9 both SIFT and CRBNet localize more on Minitown's training town.
    """

    ratio: float = 0.9  # nearest < ratio * nearest of another 3D point
    single_max_distance: float = 0.8  # accepted distance where the candidates show one point only
    unique_points: bool = True  # of several keypoints matched to one 3D point keep the nearest

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("ratio", "single_max_distance"))

    def match(self, query: Features, candidates: Candidates, rows: PointRows) -> Matches2D3D:
        """Matches in ascending order of distance.

        The best two of the union are among the best two (with distinct points) of each part, so the frames' part is
        one matrix product and the leaves' part a sum over each keypoint's own rows.
        """
        parts = []
        if len(candidates.rows):
            parts.append((LEAF, *self._leaves(query, candidates, rows)))
        if len(candidates.frame_rows):
            parts.append((FRAME, *self._frames(query, candidates.frame_rows, rows)))
        best, row, second, source = _merge(len(query), parts, rows.point)
        d1, d2 = (np.sqrt(np.maximum(0, 2 - 2 * s)) for s in (best, second))
        accepted = (row >= 0) & np.where(np.isfinite(second), d1 < self.ratio * d2, d1 <= self.single_max_distance)
        keypoint = np.flatnonzero(accepted)
        keypoint = keypoint[np.argsort(d1[keypoint], kind="stable")]
        point = rows.point[row[keypoint]]
        if self.unique_points:
            first = np.sort(np.unique(point, return_index=True)[1])
            keypoint, point = keypoint[first], point[first]
        return Matches2D3D(
            xy=query.keypoints[keypoint],
            xyz=rows.points[point],
            keypoint=keypoint,
            point=point,
            distance=d1[keypoint],
            source=source[keypoint],
            candidates_per_keypoint=_mean_candidates(len(query), candidates, len(rows.point)),
        )

    def _leaves(self, query: Features, candidates: Candidates, rows: PointRows):
        best, row, second = _empty(len(query))
        touched = np.zeros(len(rows.point), bool)
        touched[candidates.rows] = True
        used = np.flatnonzero(touched)  # read only these pages of the map
        position = np.empty(len(touched), np.int32)
        position[used] = np.arange(len(used), dtype=np.int32)
        best_two_points_sparse(
            query.descriptors.astype(np.float32),
            np.asarray(rows.descriptors[used], np.float32),
            np.asarray(rows.point[used]),
            candidates.indptr,
            position[candidates.rows],
            best,
            row,
            second,
        )
        row[row >= 0] = used[row[row >= 0]]
        return best, row, second

    def _frames(self, query: Features, frame_rows: np.ndarray, rows: PointRows):
        best, row, second = _empty(len(query))
        descriptors = np.asarray(rows.descriptors[frame_rows], np.float32)
        points = np.asarray(rows.point[frame_rows])
        for at in range(0, len(query), BLOCK):
            block = slice(at, at + BLOCK)
            similarity = query.descriptors[block].astype(np.float32) @ descriptors.T
            best_two_points_dense(similarity, points, best[block], row[block], second[block])
        row[row >= 0] = frame_rows[row[row >= 0]]
        return best, row, second


def _empty(n: int):
    return np.full(n, -np.inf, np.float32), np.full(n, -1, np.int32), np.full(n, -np.inf, np.float32)


def _merge(n: int, parts: list, point: np.ndarray):
    """Best row, and best similarity over another point, of the union of the parts; bits of the parts that found it."""
    best, row, second = _empty(n)
    source = np.zeros(n, np.uint8)
    for bit, b, r, s in parts:
        here, there = np.where(r >= 0, point[r], -1), np.where(row >= 0, point[row], -2)
        better = b > best
        loser = np.where(better, best, b)  # the best row of the part that did not win
        second = np.maximum(np.maximum(second, s), np.where(here != there, loser, -np.inf))
        same = (r == row) & (r >= 0)
        source = np.where(same, source | bit, np.where(better, bit, source)).astype(np.uint8)
        row, best = np.where(better & ~same, r, row), np.where(better, b, best)
    return best, row, second, source


def _mean_candidates(num_keypoints: int, candidates: Candidates, num_rows: int) -> float:
    """Mean number of distinct rows a keypoint is compared with."""
    if not num_keypoints:
        return 0.0
    shared = np.zeros(num_rows, bool)
    shared[candidates.frame_rows] = True
    own = len(candidates.rows) - np.count_nonzero(shared[candidates.rows])
    return float(own / num_keypoints + len(candidates.frame_rows))
