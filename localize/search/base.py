"""The role of a search: the nearest points of one query, among prior leaves, prior frames, or both."""

from typing import Protocol

import numpy as np

from localize.types import Nearest, PointRows


class Search(Protocol):
    """Frozen dataclass. The two flags tell the pipeline what has to be prepared."""

    VERSION: int
    uses_leaves: bool
    uses_frames: bool
    num_frames: int  # references to retrieve; asked for only if uses_frames

    def nearest(
        self, leaves: Nearest | None, frames: np.ndarray | None, rows: PointRows, descriptors: np.ndarray
    ) -> Nearest:
        """Nearest points of descriptors (Q, D) float32.

        leaves: what the index found; frames: indices (num_frames,) of the retrieved references, -1 = none. None where
        the flags say that they are not used.
        """
        ...
