"""The role of a search: the candidate rows of one query, from prior leaves, prior frames, or both."""

from typing import Protocol

import numpy as np

from localize.types import Candidates


class Search(Protocol):
    """Frozen dataclass. The two flags tell the pipeline what has to be prepared."""

    VERSION: int
    uses_leaves: bool
    uses_frames: bool

    def candidates(self, leaves: tuple[np.ndarray, np.ndarray] | None, frame_rows: np.ndarray | None) -> Candidates:
        """Candidates from the leaves' CSR (indptr, rows) and the rows of the prior frames; None where not prepared."""
        ...
