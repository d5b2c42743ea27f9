"""Inverted lists of quantised items, scanned in registers, then refined: faiss's fastest indexes on a CPU.

Jegou, Douze & Schmid, PAMI 2011 (product quantisation); Andre, Kermarrec & Le Scouarnec, PAMI 2021 (fast scan); Gao &
Long, SIGMOD 2024 (RaBitQ).
"""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, query_field
from localize.index.faiss_index import COARSE, build_lists, probing
from localize.index.faiss_items import PROBES, FaissItems, nearest_points, num_found
from localize.index.items import ITEMS
from localize.types import Nearest, PointRows

CODES = ("pq", "rabitq")
REFINE = {"none": "", "sq8": ",Refine(SQ8)", "fp16": ",Refine(SQfp16)", "flat": ",RFlat"}


@dataclass(frozen=True)
class FaissIvfPq:
    """IVF-PQ or IVF-RaBitQ FastScan; the best are compared again by finer codes."""

    items: str = "mean"  # one item per 3D point, or all observations
    num_lists: int | None = None  # None: 4 sqrt(N); fewer if the map is small (39 items per list at least)
    coarse: str = "flat"  # the nearest lists are found exactly (flat) or by a graph (hnsw)
    code: str = "pq"  # num_codes of 4 bits, or rabitq: a bit per value, and factors that leave no bias
    num_codes: int = 64  # of 4 bits per item; a divisor of the descriptor's length
    rotation: bool = False  # turn the descriptors first: as OPQ learns it, or at random where code=rabitq
    refine: str = "sq8"  # codes the best are compared by again: none, sq8, fp16, flat
    train_per_list: int = 64  # items that k-means sees
    iterations: int = 10  # of k-means
    seed: int = 0
    num_probes: int = query_field(16)  # lists visited
    num_refined: int = query_field(8)  # items compared again
    num_neighbours: int = query_field(100)  # rows compared by point where items=all

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)
    sweep: ClassVar[tuple] = PROBES

    def __post_init__(self):
        sizes = ("num_lists", "num_codes", "train_per_list", "iterations", "num_probes", "num_refined")
        choices = {"items": ITEMS, "coarse": tuple(COARSE), "code": CODES, "refine": tuple(REFINE)}
        check_component(self, positive=(*sizes, "num_neighbours"), choices=choices)

    def build(self, rows: PointRows) -> FaissItems:
        """The lists, and the codes to refine by."""
        dim, pq = rows.descriptors.shape[1], self.code == "pq"
        rotation = (f"OPQ{self.num_codes}," if pq else f"RR{dim},") if self.rotation else ""
        return build_lists(
            self, rows, (f"PQ{self.num_codes}x4fs" if pq else "RaBitQfs") + REFINE[self.refine], rotation
        )

    def nearest(self, built: FaissItems, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the refined items."""
        parameters = probing(self.num_probes, self.coarse)
        if self.rotation:
            parameters = faiss.SearchParametersPreTransform(index_params=parameters)
        if self.refine != "none":
            factor = max(1, self.num_refined / num_found(self))
            parameters = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=parameters)
        return nearest_points(self, built, rows, descriptors, parameters)
