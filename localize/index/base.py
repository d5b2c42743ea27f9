"""The role of an index: the nearest 3D points of query descriptors, without comparing them with the whole map."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from localize.types import Nearest, PointRows


@runtime_checkable
class Index(Protocol):
    """Frozen dataclass. Fields made with `query_field` may change without building anew."""

    VERSION: int

    def build(self, rows: PointRows) -> Any:
        """A record (frozen dataclass of arrays) that the store can save and `nearest` understands."""
        ...

    def nearest(self, built: Any, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points of descriptors (Q, D) float32, source LEAF; `rows` are those it was built on.

        An index that only names rows lets `index.rescore.nearest_of_rows` compare them.
        """
        ...


@runtime_checkable
class FitsRows(Protocol):
    """What an index built, if it can tell whether it was built on these rows: kernels trust the numbers in it."""

    def check_rows(self, rows: PointRows) -> None:
        """ValueError if it names points or rows that these have not."""
        ...


@runtime_checkable
class Swept(Protocol):
    """An index that can trade time for recall when it is asked; a benchmark measures others once, as they are."""

    sweep: tuple[str, tuple]  # a query field, and the values of it that a benchmark measures


@runtime_checkable
class OrdersLeaves(Protocol):
    """An index whose leaves can be visited in more than one order."""

    order: str  # gaussian: the likelihood of the leaf model; abs_value: the value at the test
