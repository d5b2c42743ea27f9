"""The role of a search: the candidate rows of one query, from prior leaves, prior frames, or both."""

from typing import Protocol

import numpy as np

from localize.types import Candidates, PointRows


class Search(Protocol):
    """Frozen dataclass. The two flags tell the pipeline what has to be prepared."""

    VERSION: int
    uses_leaves: bool
    uses_frames: bool
    num_frames: int  # references to retrieve; asked for only if uses_frames

    def candidates(
        self, leaves: tuple[np.ndarray, np.ndarray] | None, frames: np.ndarray | None, rows: PointRows
    ) -> Candidates:
        """Candidates among the map's rows.

        leaves: CSR (indptr, rows) of each keypoint's rows in the index; frames: indices (num_frames,) of the retrieved
        references, -1 = none. None where the flags say that they are not used.
        """
        ...
