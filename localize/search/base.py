"""The role of a search: which evidence counts, prior leaves, prior frames or both, and how frames are searched."""

from typing import Protocol, runtime_checkable

import numpy as np

from localize.types import Nearest, PointRows


@runtime_checkable
class Search(Protocol):
    """Frozen dataclass. The two flags say which evidence counts: prior leaves, prior frames, or both."""

    VERSION: int
    uses_leaves: bool  # the index is built and asked
    uses_frames: bool  # references are retrieved, and searched as a `FrameSearch` does


@runtime_checkable
class FrameSearch(Protocol):
    """A search that looks at prior frames."""

    num_frames: int  # references to retrieve

    def nearest(self, frames: np.ndarray, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points of descriptors (Q, D) float32 among what the frames see, source FRAME.

        frames: indices (num_frames,) of the retrieved references, -1 = none.
        """
        ...
