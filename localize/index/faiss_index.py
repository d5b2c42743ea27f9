"""Standard nearest-neighbour indexes in the same role as the trees: flat, HNSW and inverted lists, by faiss.

Johnson, Douze & Jegou, IEEE Big Data 2019; Malkov & Yashunin, PAMI 2018 (HNSW).
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, query_field
from localize.index.rescore import nearest_of_rows
from localize.types import Nearest, PointRows


@dataclass(frozen=True, eq=False)
class FaissBytes:
    """A serialised faiss index, (B,) uint8."""

    data: np.ndarray


def _pack(index: faiss.Index) -> FaissBytes:
    return FaissBytes(faiss.serialize_index(index))


def _nearest(index: faiss.Index, rows: PointRows, descriptors: np.ndarray, k: int) -> Nearest:
    """The nearest points among the k nearest rows of each descriptor; faiss marks missing rows by -1."""
    _, found = index.search(np.ascontiguousarray(descriptors, np.float32), min(k, index.ntotal))
    indptr = np.concatenate([[0], np.cumsum((found >= 0).sum(1))]).astype(np.int64)
    return nearest_of_rows(rows, descriptors, indptr, found[found >= 0].astype(np.int32))


@functools.lru_cache(maxsize=1)  # by identity: the same map is asked by query after query
def _unpack(built: FaissBytes) -> faiss.Index:
    return faiss.deserialize_index(np.array(built.data))


@dataclass(frozen=True)
class FaissFlat:
    """Exact search: every row is compared."""

    num_neighbours: int = query_field(100)  # rows compared exactly

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        check_component(self, positive=("num_neighbours",))

    def build(self, rows: PointRows) -> FaissBytes:
        """The descriptors themselves."""
        index = faiss.IndexFlatIP(rows.descriptors.shape[1])
        index.add(np.ascontiguousarray(rows.descriptors, np.float32))
        return _pack(index)

    def nearest(self, built: FaissBytes, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the nearest rows."""
        return _nearest(_unpack(built), rows, descriptors, self.num_neighbours)


@dataclass(frozen=True)
class FaissHnsw:
    """Navigable small-world graph."""

    num_links: int = 32  # M of the paper
    ef_construction: int = 100
    ef_search: int = query_field(128)
    num_neighbours: int = query_field(100)  # rows compared exactly

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        check_component(self, positive=("num_links", "ef_construction", "ef_search", "num_neighbours"))

    def build(self, rows: PointRows) -> FaissBytes:
        """The graph over all rows."""
        index = faiss.IndexHNSWFlat(rows.descriptors.shape[1], self.num_links, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.ef_construction
        index.add(np.ascontiguousarray(rows.descriptors, np.float32))
        return _pack(index)

    def nearest(self, built: FaissBytes, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the rows the graph search finds."""
        index = _unpack(built)
        index.hnsw.efSearch = max(self.ef_search, self.num_neighbours)
        return _nearest(index, rows, descriptors, self.num_neighbours)


@dataclass(frozen=True)
class FaissIvf:
    """Inverted lists of a k-means quantiser."""

    num_lists: int = 256  # fewer if the map is small (39 rows per list at least)
    iterations: int = 10  # of k-means
    seed: int = 0
    num_probes: int = query_field(16)  # lists visited
    num_neighbours: int = query_field(100)  # rows compared exactly

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        check_component(self, positive=("num_lists", "iterations", "num_probes", "num_neighbours"))

    def build(self, rows: PointRows) -> FaissBytes:
        """The lists; faiss trains them on at most 256 rows a list."""
        descriptors = np.ascontiguousarray(rows.descriptors, np.float32)
        num_lists = max(1, min(self.num_lists, len(descriptors) // 39))
        quantizer = faiss.IndexFlatIP(descriptors.shape[1])
        index = faiss.IndexIVFFlat(quantizer, descriptors.shape[1], num_lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.seed = self.iterations, self.seed
        index.train(descriptors)
        index.add(descriptors)
        return _pack(index)

    def nearest(self, built: FaissBytes, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the nearest rows of the visited lists."""
        index = _unpack(built)
        index.nprobe = self.num_probes
        return _nearest(index, rows, descriptors, self.num_neighbours)
