"""Prior leaves (local evidence), prior frames (global evidence), and their parallel union.

The parallel search paper, section 3.2.4: both sets of candidates are joined before one exact search.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.types import Candidates, PointRows


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


@dataclass(frozen=True)
class Leaves:
    """Candidates from the index alone: the direct method."""

    VERSION: ClassVar[int] = 1
    uses_leaves: ClassVar[bool] = True
    uses_frames: ClassVar[bool] = False

    def candidates(self, leaves, frames, rows: PointRows) -> Candidates:
        """Each keypoint's own rows."""
        return Candidates(*leaves, np.zeros(0, np.int32))


@dataclass(frozen=True)
class Frames:
    """Candidates from the retrieved frames alone: image retrieval, then matching."""

    num_frames: int = 20
    rows: str = "in_frames"  # the frames' own observations, or all_obs of the points seen in them

    VERSION: ClassVar[int] = 1
    uses_leaves: ClassVar[bool] = False
    uses_frames: ClassVar[bool] = True

    def __post_init__(self):
        check_component(self, positive=("num_frames",), choices={"rows": ("in_frames", "all_obs")})

    def candidates(self, leaves, frames, rows: PointRows) -> Candidates:
        """The rows all keypoints share."""
        shared = rows_in_frames(rows, frames, self.rows)
        return Candidates(np.zeros(1, np.int64), np.zeros(0, np.int32), shared)


@dataclass(frozen=True)
class Union(Frames):
    """Candidates from prior leaves and prior frames together: the parallel search."""

    uses_leaves: ClassVar[bool] = True

    def candidates(self, leaves, frames, rows: PointRows) -> Candidates:
        """Each keypoint's own rows, and those all share."""
        return Candidates(*leaves, rows_in_frames(rows, frames, self.rows))
