"""Indexes over the descriptors' bits by faiss, whose finds are compared exactly: lists, graph, hash tables.

Norouzi, Punjani & Fleet, PAMI 2014 (multi-index hashing); Malkov & Yashunin, PAMI 2018 (HNSW).
"""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, query_field
from localize.index.bits import BITS, Coding, check_bits, learn_coding
from localize.index.faiss_items import BLOCK, PROBES, WIDTHS, as_csr, opened
from localize.index.items import ITEMS, index_items
from localize.index.rescore import nearest_of_rows
from localize.kernels.faiss_indexes import num_inverted_lists, sample
from localize.kernels.threads import available_cores
from localize.types import InputError, Nearest, PointRows
from localize.types.checks import check_range

SWEEPS = {"ivf": PROBES, "hnsw": WIDTHS, "multihash": ("num_flips", (0, 1, 2))}  # by structure


@dataclass(frozen=True, eq=False)
class FaissBits(Coding):
    """A serialised binary index, and what its finds are compared by."""

    data: np.ndarray  # (B,) uint8
    descriptors: np.ndarray  # (N, D) float16 means; (0, D) where the map's own rows serve
    point: np.ndarray  # (N,) int32

    def check_rows(self, rows: PointRows) -> None:
        """See `index.base.FitsRows`."""
        self.check_length(rows.descriptors.shape[1])
        check_range(self, "point", 0, len(rows.points))


@dataclass(frozen=True)
class FaissBinary:
    """Bits as those of the random trees."""

    structure: str = "ivf"  # ivf, hnsw or multihash
    items: str = "mean"  # one item per 3D point, or all observations
    num_lists: int | None = None  # of ivf. None: 4 sqrt(N); fewer if the map is small (39 items per list at least)
    train_per_list: int = 64  # items that k-means sees
    num_links: int = 16  # of hnsw, M of the paper
    ef_construction: int = 100  # of hnsw
    num_tables: int = 12  # of multihash
    bits_per_table: int = 20  # of multihash
    bits: str = "auto"  # sign, median or itq; auto: sign, or one of the others where no value is negative
    num_bits: int | None = None  # of itq. None: 256
    seed: int = 0
    num_probes: int = query_field(16)  # lists of ivf visited
    ef_search: int = query_field(128)  # of hnsw
    num_flips: int = query_field(1)  # bits of a multihash key that may differ
    num_neighbours: int = query_field(32)  # items compared exactly

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        positive = (
            *("num_lists", "train_per_list", "num_links", "ef_construction", "num_tables", "bits_per_table"),
            *("num_bits", "num_probes", "ef_search", "num_neighbours"),
        )
        choices = {"structure": tuple(SWEEPS), "items": ITEMS, "bits": BITS}
        check_component(self, positive=positive, choices=choices)
        check_bits(self)

    @property
    def sweep(self) -> tuple[str, tuple]:
        """See `Swept`."""
        return SWEEPS[self.structure]

    def build(self, rows: PointRows) -> FaissBits:
        """The index over the bits, and for items=mean the means."""
        items = index_items(rows, self.items, available_cores())
        coding = learn_coding(items.descriptors, self.bits, self.num_bits, self.seed)
        index = self._empty(len(coding.thresholds), len(items.point))
        if not index.is_trained:
            index.train(_bytes(coding, sample(items.descriptors, self.train_per_list * index.nlist, self.seed)))
        for at in range(0, len(items.point), BLOCK):
            index.add(_bytes(coding, np.asarray(items.descriptors[at : at + BLOCK])))
        kept = items.descriptors[:0] if self.items == "all" else items.descriptors
        data = faiss.serialize_index_binary(index)
        return FaissBits(**vars(coding), data=data, descriptors=kept, point=np.asarray(items.point))

    def _empty(self, num_bits: int, num_items: int) -> faiss.IndexBinary:
        if self.structure == "hnsw":
            index = faiss.IndexBinaryHNSW(8 * -(-num_bits // 8), self.num_links)
            index.hnsw.efConstruction = self.ef_construction
            return index
        if self.structure == "multihash":
            if self.num_tables * self.bits_per_table > num_bits:
                raise InputError(
                    f"num_tables={self.num_tables} of bits_per_table={self.bits_per_table} need more bits in all "
                    f"than the {num_bits} of a code: take fewer"
                )
            return faiss.IndexBinaryMultiHash(8 * -(-num_bits // 8), self.num_tables, self.bits_per_table)
        name = f"BIVF{num_inverted_lists(self.num_lists, 4, num_items)}"
        index = faiss.index_binary_factory(8 * -(-num_bits // 8), name)
        index.cp.seed, index.cp.max_points_per_centroid = self.seed, self.train_per_list
        return index

    def nearest(self, built: FaissBits, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the items whose bits are nearest."""
        index = opened(built, faiss.deserialize_index_binary)
        if self.structure == "hnsw":
            index.hnsw.efSearch = max(self.ef_search, self.num_neighbours)
        elif self.structure == "multihash":
            index.nflip = self.num_flips
        else:
            index.nprobe = self.num_probes
        _, found = index.search(_bytes(built, descriptors), min(self.num_neighbours, index.ntotal))
        return nearest_of_rows(rows if self.items == "all" else built, descriptors, *as_csr(found))


def _bytes(coding: Coding, descriptors: np.ndarray) -> np.ndarray:
    """(N, K / 8) uint8."""
    return np.packbits(coding.bits(descriptors), axis=1)
