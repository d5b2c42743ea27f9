"""Prior leaves (local evidence), prior frames (global evidence), and their parallel union.

The parallel search paper, section 3.2.4: one exact search among the candidates of both. Each source finds
its own best two points; the best two of all are among these, so the candidates are never joined.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.search.frames import PRECISIONS, nearest_in_rows, rows_in_frames
from localize.types import Nearest, PointRows


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


@dataclass(frozen=True)
class Frames:
    """Nearest points in the retrieved frames alone: image retrieval, then matching."""

    num_frames: int = 20
    rows: str = "in_frames"  # the frames' own observations, or all_obs of the points seen in them
    precision: str = "auto"  # of the comparison: float32, int8, or int8 where it is faster; stored under one key
    by_bits: bool | None = None  # with precision auto: signs first, values of the nearest; None: what suits the feature

    VERSION: ClassVar[int] = 2
    SUITED: ClassVar[dict] = {"by_bits": "sign_bits"}
    uses_leaves: ClassVar[bool] = False
    uses_frames: ClassVar[bool] = True

    def __post_init__(self):
        check_component(
            self, positive=("num_frames",), choices={"rows": ("in_frames", "all_obs"), "precision": PRECISIONS}
        )

    def nearest(self, frames: np.ndarray, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the rows of the frames."""
        by = "bits" if self.by_bits and self.precision == "auto" else self.precision
        return nearest_in_rows(rows, rows_in_frames(rows, frames, self.rows), descriptors, by)


@dataclass(frozen=True)
class Union(Frames):
    """Nearest points of prior leaves and prior frames together: the parallel search."""

    uses_leaves: ClassVar[bool] = True
