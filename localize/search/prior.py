"""Prior leaves (local evidence), prior frames (global evidence), and their parallel union.

The parallel search paper, section 3.2.4: one exact search among the candidates of both. Each source finds
its own best two points; the best two of all are among these, so the candidates are never joined.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.kernels.nearest import best_two_points_dense
from localize.types import FRAME, Nearest, PointRows

BLOCK = 512  # query keypoints at a time against the frames' rows


def rows_in_frames(rows: PointRows, frames: np.ndarray, mode: str = "in_frames") -> np.ndarray:
    """Rows (F,) int32 ascending that the frames bring in; frames: indices of references, -1 = none.

    in_frames: the observations made in these frames. all_obs: every observation of the points seen in them.
    """
    spans = [np.arange(rows.image_indptr[i], rows.image_indptr[i + 1]) for i in sorted({int(f) for f in frames} - {-1})]
    found = np.concatenate(spans) if spans else np.zeros(0, np.int64)
    if mode == "all_obs":
        visible = np.zeros(len(rows.points), bool)
        visible[rows.point[found]] = True
        found = np.flatnonzero(visible[rows.point])
    return found.astype(np.int32)


def nearest_in_frames(rows: PointRows, frame_rows: np.ndarray, descriptors: np.ndarray) -> Nearest:
    """Nearest points of descriptors (Q, D) float32 among the rows (F,) that all of them are compared with."""
    num = len(descriptors)
    best, second = np.full((2, num), -np.inf, np.float32)
    point = np.full(num, -1, np.int32)
    theirs = np.asarray(rows.descriptors[frame_rows], np.float32)
    points = np.asarray(rows.point[frame_rows])
    for at in range(0, num, BLOCK):
        block = slice(at, at + BLOCK)
        best_two_points_dense(descriptors[block] @ theirs.T, points, best[block], point[block], second[block])
    source = np.where(point >= 0, FRAME, 0).astype(np.uint8)
    return Nearest(best, point, second, source, float(len(frame_rows)))


def merged(a: Nearest, b: Nearest) -> Nearest:
    """The best two points of both: a point that both found has the larger similarity and the bits of both."""
    same = (a.point == b.point) & (a.point >= 0)
    tie = (a.similarity == b.similarity) & (b.point >= 0)
    of_b = (b.similarity > a.similarity) | (tie & (b.point < a.point))
    loser = np.where(same, -np.inf, np.where(of_b, a.similarity, b.similarity))
    return Nearest(
        similarity=np.maximum(a.similarity, b.similarity),
        point=np.where(of_b, b.point, a.point),
        second=np.maximum(loser, np.maximum(a.second, b.second)),
        source=np.where(same, a.source | b.source, np.where(of_b, b.source, a.source)),
        compared=a.compared + b.compared,
    )


@dataclass(frozen=True)
class Leaves:
    """Nearest points of the index alone: the direct method."""

    VERSION: ClassVar[int] = 2
    uses_leaves: ClassVar[bool] = True
    uses_frames: ClassVar[bool] = False

    def nearest(self, leaves, frames, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """What the index found."""
        return leaves


@dataclass(frozen=True)
class Frames:
    """Nearest points in the retrieved frames alone: image retrieval, then matching."""

    num_frames: int = 20
    rows: str = "in_frames"  # the frames' own observations, or all_obs of the points seen in them

    VERSION: ClassVar[int] = 2
    uses_leaves: ClassVar[bool] = False
    uses_frames: ClassVar[bool] = True

    def __post_init__(self):
        check_component(self, positive=("num_frames",), choices={"rows": ("in_frames", "all_obs")})

    def nearest(self, leaves, frames, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the rows of the frames."""
        return nearest_in_frames(rows, rows_in_frames(rows, frames, self.rows), descriptors)


@dataclass(frozen=True)
class Union(Frames):
    """Nearest points of prior leaves and prior frames together: the parallel search."""

    uses_leaves: ClassVar[bool] = True

    def nearest(self, leaves, frames, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """The better of what the index and the frames have."""
        return merged(leaves, super().nearest(None, frames, rows, descriptors))
