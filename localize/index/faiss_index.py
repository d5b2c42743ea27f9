"""Standard nearest-neighbour indexes in the same role as the trees: flat, graph and inverted lists, by faiss.

Johnson, Douze & Jegou, IEEE Big Data 2019; Malkov & Yashunin, PAMI 2018 (HNSW).
"""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, query_field
from localize.index.faiss_items import PROBES, WIDTHS, FaissItems, filled, nearest_points, num_found
from localize.index.items import ITEMS, index_items
from localize.kernels.faiss_indexes import empty_index, num_inverted_lists, sample, set_clustering, trained_graph
from localize.kernels.threads import available_cores
from localize.types import Nearest, PointRows

CODES = {"flat": "Flat", "sq8": "SQ8"}  # values as float32, or in 8 bits
COARSE = {"flat": "", "hnsw": "_HNSW32"}  # how the nearest lists are found


@dataclass(frozen=True)
class FaissFlat:
    """Exact search: every item is compared."""

    items: str = "mean"  # one item per 3D point, or all observations
    num_neighbours: int = query_field(100)  # rows compared by point where items=all

    VERSION: ClassVar[int] = 2
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        check_component(self, positive=("num_neighbours",), choices={"items": ITEMS})

    def build(self, rows: PointRows) -> FaissItems:
        """The descriptors themselves."""
        items = index_items(rows, self.items, available_cores())
        return filled(empty_index(items.descriptors, "Flat"), items)

    def nearest(self, built: FaissItems, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among all items."""
        return nearest_points(self, built, rows, descriptors)


@dataclass(frozen=True)
class FaissHnsw:
    """Navigable small-world graph."""

    items: str = "mean"  # one item per 3D point, or all observations
    code: str = "flat"  # values as float32 (flat) or in 8 bits (sq8)
    num_links: int = 16  # M of the paper
    ef_construction: int = 100
    seed: int = 0
    ef_search: int = query_field(128)
    num_neighbours: int = query_field(100)  # rows compared by point where items=all

    VERSION: ClassVar[int] = 2
    LIBRARIES: ClassVar[tuple] = ("faiss",)
    sweep: ClassVar[tuple] = WIDTHS

    def __post_init__(self):
        positive = ("num_links", "ef_construction", "ef_search", "num_neighbours")
        check_component(self, positive=positive, choices={"items": ITEMS, "code": tuple(CODES)})

    def build(self, rows: PointRows) -> FaissItems:
        """The graph over all items."""
        items = index_items(rows, self.items, available_cores())
        how = CODES[self.code], self.num_links, self.ef_construction
        return filled(trained_graph(items.descriptors, *how, 100_000, self.seed), items)

    def nearest(self, built: FaissItems, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the items the graph search finds."""
        parameters = faiss.SearchParametersHNSW(efSearch=max(self.ef_search, num_found(self)))
        return nearest_points(self, built, rows, descriptors, parameters)


@dataclass(frozen=True)
class FaissIvf:
    """Inverted lists of a k-means quantiser."""

    items: str = "mean"  # one item per 3D point, or all observations
    code: str = "flat"  # values as float32 (flat) or in 8 bits (sq8)
    num_lists: int | None = None  # None: 4 sqrt(N); fewer if the map is small (39 items per list at least)
    coarse: str = "flat"  # the nearest lists are found exactly (flat) or by a graph (hnsw)
    train_per_list: int = 64  # items that k-means sees
    iterations: int = 10  # of k-means
    seed: int = 0
    num_probes: int = query_field(16)  # lists visited
    num_neighbours: int = query_field(100)  # rows compared by point where items=all

    VERSION: ClassVar[int] = 2
    LIBRARIES: ClassVar[tuple] = ("faiss",)
    sweep: ClassVar[tuple] = PROBES

    def __post_init__(self):
        positive = ("num_lists", "train_per_list", "iterations", "num_probes", "num_neighbours")
        choices = {"items": ITEMS, "code": tuple(CODES), "coarse": tuple(COARSE)}
        check_component(self, positive=positive, choices=choices)

    def build(self, rows: PointRows) -> FaissItems:
        """The lists."""
        return build_lists(self, rows, CODES[self.code])

    def nearest(self, built: FaissItems, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the items of the visited lists."""
        parameters = probing(self.num_probes, self.coarse)
        return nearest_points(self, built, rows, descriptors, parameters)


def build_lists(component, rows: PointRows, code: str, rotation: str = "") -> FaissItems:
    """Inverted lists of the component's items in a code by faiss's name; k-means sees `train_per_list` items a list."""
    items = index_items(rows, component.items, available_cores())
    num_lists, per_list = num_inverted_lists(component.num_lists, 4, len(items.point)), component.train_per_list
    index = empty_index(items.descriptors, f"{rotation}IVF{num_lists}{COARSE[component.coarse]},{code}")
    set_clustering(faiss.extract_index_ivf(index).cp, component.iterations, component.seed, per_list)
    index.train(sample(items.descriptors, per_list * num_lists, component.seed))
    return filled(index, items)


def probing(num_probes: int, coarse: str) -> faiss.SearchParametersIVF:
    """How a search visits the nearest lists."""
    if coarse == "flat":
        return faiss.SearchParametersIVF(nprobe=num_probes)
    graph = faiss.SearchParametersHNSW(efSearch=max(32, 2 * num_probes))
    return faiss.SearchParametersIVF(nprobe=num_probes, quantizer_params=graph)
