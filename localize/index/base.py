"""The role of an index: which rows of the map a query descriptor should be compared with."""

from typing import Any, Protocol

import numpy as np

from localize.types import PointRows


class Index(Protocol):
    """Frozen dataclass. Fields made with `query_field` may change without building anew."""

    VERSION: int

    def build(self, rows: PointRows) -> Any:
        """A record (frozen dataclass of arrays) that the store can save and `lookup` understands."""
        ...

    def lookup(self, built: Any, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Candidate rows of descriptors (Q, D) float32 as CSR: indptr (Q + 1,) int64, rows (C,) int32, each once."""
        ...
