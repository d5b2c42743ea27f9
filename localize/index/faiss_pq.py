"""Inverted lists of product-quantised items, scanned in registers, then refined: faiss's fastest index on a CPU.

Jegou, Douze & Schmid, PAMI 2011 (product quantisation); Andre, Kermarrec & Le Scouarnec, PAMI 2021 (fast scan).
"""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, query_field
from localize.index.faiss_index import COARSE, probing, train_lists
from localize.index.faiss_items import FaissItems, fill, nearest_points, num_inverted_lists, opened, pack
from localize.index.items import ITEMS, index_items
from localize.kernels.threads import available_cores
from localize.types import Nearest, PointRows

REFINE = {"none": "", "sq8": ",Refine(SQ8)", "fp16": ",Refine(SQfp16)", "flat": ",RFlat"}


@dataclass(frozen=True)
class FaissIvfPq:
    """IVF-PQ FastScan with 4-bit codes; the best are compared again by finer codes."""

    items: str = "mean"  # one item per 3D point, or all observations
    num_lists: int | None = None  # None: 4 sqrt(N); fewer if the map is small (39 items per list at least)
    coarse: str = "flat"  # the nearest lists are found exactly (flat) or by a graph (hnsw)
    num_codes: int = 64  # of 4 bits per item; a divisor of the descriptor's length
    rotation: bool = False  # learn one first (OPQ)
    refine: str = "sq8"  # codes the best are compared by again: none, sq8, fp16, flat
    train_per_list: int = 64  # items that k-means sees
    iterations: int = 10  # of k-means
    seed: int = 0
    num_probes: int = query_field(16)  # lists visited
    num_refined: int = query_field(8)  # items compared again
    num_neighbours: int = query_field(100)  # rows compared by point where items=all

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        sizes = ("num_lists", "num_codes", "train_per_list", "iterations", "num_probes", "num_refined")
        choices = {"items": ITEMS, "coarse": tuple(COARSE), "refine": tuple(REFINE)}
        check_component(self, positive=(*sizes, "num_neighbours"), choices=choices)

    def build(self, rows: PointRows) -> FaissItems:
        """The lists, and the codes to refine by."""
        items = index_items(rows, self.items, available_cores())
        num_lists = num_inverted_lists(self.num_lists, len(items.point))
        rotation = f"OPQ{self.num_codes}," if self.rotation else ""
        name = f"{rotation}IVF{num_lists}{COARSE[self.coarse]},PQ{self.num_codes}x4fs{REFINE[self.refine]}"
        index = faiss.index_factory(items.descriptors.shape[1], name, faiss.METRIC_INNER_PRODUCT)
        train_lists(index, items, self.train_per_list, self.iterations, self.seed)
        fill(index, items)
        return pack(index, items)

    def nearest(self, built: FaissItems, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the refined items."""
        neighbours = self.num_neighbours if self.items == "all" else None
        parameters = probing(self.num_probes, self.coarse)
        if self.rotation:
            parameters = faiss.SearchParametersPreTransform(index_params=parameters)
        if self.refine != "none":
            factor = max(1, self.num_refined / (neighbours or 2))
            parameters = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=parameters)
        return nearest_points(opened(built), built, rows, descriptors, neighbours, parameters)
