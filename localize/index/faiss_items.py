"""What the faiss indexes share: the record they are stored as, and points from what they find."""

from dataclasses import dataclass

import faiss
import numpy as np

from localize.index.items import Items
from localize.index.rescore import nearest_of_rows
from localize.kernels.faiss_indexes import fill, opened_once
from localize.types import LEAF, Nearest, PointRows, StoreError
from localize.types.checks import check_range

BLOCK = 1 << 16  # items converted to float32 at a time
PROBES = "num_probes", (1, 2, 4, 8, 16, 32, 64, 128)  # what benchmarks sweep: lists visited
WIDTHS = "ef_search", (16, 32, 64, 128, 256, 512)  # and how widely a graph is searched


@dataclass(frozen=True, eq=False)
class FaissItems:
    """A serialised faiss index and the 3D points of its items."""

    data: np.ndarray  # (B,) uint8
    point: np.ndarray  # (N,) int32

    def check_rows(self, rows: PointRows) -> None:
        """See `index.base.FitsRows`."""
        check_range(self, "point", 0, len(rows.points))


def opened(built, read=faiss.deserialize_index):
    """The faiss index of a record with `data`; it lives as long as the record does. StoreError if it is damaged."""

    def checked(record):
        try:
            index = read(np.array(record.data))
        except RuntimeError as e:
            raise StoreError(f"the index is damaged ({str(e).splitlines()[0]}): build it again") from e
        if index.ntotal != len(record.point):
            raise StoreError(f"the index holds {index.ntotal} items, but there are {len(record.point)}: build it again")
        return index

    return opened_once(built, checked)


def filled(index: faiss.Index, items: Items) -> FaissItems:
    """The trained index with all items, as a record."""
    fill(index, items.descriptors, BLOCK)
    return FaissItems(faiss.serialize_index(index), np.asarray(items.point))


def num_found(component) -> int:
    """Rows that a search returns, to be compared by point; of means two are the answer."""
    return component.num_neighbours if component.items == "all" else 2


def nearest_points(
    component,
    built: FaissItems,
    rows: PointRows,
    descriptors: np.ndarray,
    parameters: faiss.SearchParameters | None = None,
) -> Nearest:
    """Nearest points of descriptors (Q, D) float32 by an index component with `items` and `num_neighbours`.

    Rows that are found are then compared exactly; where an item is a point's mean, the index's similarities count.
    """
    index = opened(built)
    k = min(num_found(component), index.ntotal)
    similarity, found = index.search(np.ascontiguousarray(descriptors, np.float32), k, params=parameters)
    if component.items == "all":
        return nearest_of_rows(rows, descriptors, *as_csr(found))
    similarity = np.where(found >= 0, similarity, -np.inf)
    point = np.where(found >= 0, built.point[found], -1)
    second = similarity[:, 1] if k > 1 else np.full(len(descriptors), -np.inf)
    source = np.where(point[:, 0] >= 0, LEAF, 0)
    return Nearest(
        similarity[:, 0], point[:, 0], second, source, float((found >= 0).sum(1).mean()) if len(found) else 0.0
    )


def as_csr(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """indptr (Q + 1,) int64 and rows (C,) int32 of what faiss found (Q, K); it marks missing ones by -1."""
    indptr = np.concatenate([[0], np.cumsum((found >= 0).sum(1))]).astype(np.int64)
    return indptr, found[found >= 0].astype(np.int32)
