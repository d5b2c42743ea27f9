"""Approximate search among many global descriptors by faiss's indexes, built in blocks and kept on the disk.

Johnson, Douze & Jegou, IEEE Big Data 2019; Jegou, Douze & Schmid, PAMI 2011 (product quantisation); Malkov & Yashunin,
PAMI 2018 (HNSW).
"""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, query_field
from localize.kernels.faiss_indexes import (
    LEAST_PER_LIST,
    empty_index,
    num_inverted_lists,
    sample,
    set_clustering,
    trained_graph,
)
from localize.retrieval.exact import exact_search
from localize.retrieval.faiss_file import FaissFile, empty_file, filled, opened
from localize.retrieval.restrictions import Restrictions
from localize.types import InputError

CODES = {"fp16": "SQfp16", "sq8": "SQ8"}  # values in 16 bits, or in 8
LEAST_FOR_CODES = 256  # centres of each part of a product code


@dataclass(frozen=True)
class _Lists(Restrictions):
    """What rankings by inverted lists share."""

    num_lists: int | None = None  # None: the square root of the number of references
    train_per_list: int = LEAST_PER_LIST  # vectors that k-means sees
    iterations: int = 10  # of k-means
    seed: int = 0
    exact_below: int = 10_000  # so few references, or so few that are allowed, are all compared
    num_probes: int = query_field(32)  # lists visited
    num_rescored: int = query_field(0)  # of the found are compared again by the kept vectors; 0: none

    def __post_init__(self):
        super().__post_init__()
        positive = ("num_lists", "train_per_list", "iterations", "num_probes")
        check_component(self, positive=positive)

    def search(self, built, vectors, asked, num_found, rows=None) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking.search`."""
        return _search(self, built, vectors, asked, num_found, rows, faiss.SearchParametersIVF, nprobe=self.num_probes)

    def _trained(self, vectors: np.ndarray, code: str, least: int = 1) -> faiss.Index:
        """Lists without any vector yet; k-means sees `train_per_list` vectors of each, but at least of `least`."""
        num_lists, per_list = num_inverted_lists(self.num_lists, 1, len(vectors)), self.train_per_list
        index = empty_index(vectors, f"IVF{num_lists},{code}")
        clusterings = [index.cp]
        if isinstance(index, faiss.IndexIVFPQ):
            index.do_polysemous_training = False  # minutes of annealing, for a filter that we do not use
            clusterings.append(index.pq.cp)
        for clustering in clusterings:
            set_clustering(clustering, self.iterations, self.seed, max(per_list, LEAST_PER_LIST))
        index.train(sample(vectors, per_list * max(num_lists, least), self.seed))
        return index


@dataclass(frozen=True)
class FaissIvfRanking(_Lists):
    """Inverted lists of vectors in 16 or 8 bits a value: as large as the vectors, and only visited lists are read."""

    code: str = "fp16"  # values in 16 bits (fp16) or in 8 (sq8)

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        check_component(self, choices={"code": tuple(CODES)})

    def build(self, vectors: np.ndarray) -> FaissFile:
        """The lists of vectors (R, D) float32 or float16, possibly memory-mapped."""
        if len(vectors) <= max(self.exact_below, 1):
            return empty_file()
        return filled(self._trained(vectors, CODES[self.code]), vectors)


@dataclass(frozen=True)
class FaissPqRanking(_Lists):
    """Inverted lists of product codes, 64 bytes a vector; the best are compared again by the vectors themselves."""

    num_codes: int = 64  # bytes of each vector's code; a divisor of the descriptor's length
    num_probes: int = query_field(64)  # lists visited
    num_rescored: int = query_field(500)  # of the found are compared again by the kept vectors; 0: none

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        check_component(self, positive=("num_codes",))

    def build(self, vectors: np.ndarray) -> FaissFile:
        """The lists of vectors (R, D) float32 or float16, possibly memory-mapped."""
        if vectors.shape[1] % self.num_codes:
            raise InputError(
                f"{type(self).__name__}.num_codes is {self.num_codes}, but must be a divisor of the global "
                f"descriptor's length, {vectors.shape[1]}"
            )
        if len(vectors) <= max(self.exact_below, LEAST_FOR_CODES):
            return empty_file()
        return filled(self._trained(vectors, f"PQ{self.num_codes}", LEAST_FOR_CODES), vectors)


@dataclass(frozen=True)
class FaissHnswRanking(Restrictions):
    """Navigable small-world graph over vectors in 16 or 8 bits a value; opened into memory, as a search walks all."""

    code: str = "fp16"  # values in 16 bits (fp16) or in 8 (sq8)
    num_links: int = 16  # M of the paper
    ef_construction: int = 80
    seed: int = 0
    exact_below: int = 10_000  # so few references, or so few that are allowed, are all compared
    ef_search: int = query_field(128)
    num_rescored: int = query_field(0)  # of the found are compared again by the kept vectors; 0: none

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        positive = ("num_links", "ef_construction", "ef_search")
        check_component(self, positive=positive, choices={"code": tuple(CODES)})

    def build(self, vectors: np.ndarray) -> FaissFile:
        """The graph over vectors (R, D) float32 or float16, possibly memory-mapped."""
        if len(vectors) <= self.exact_below:
            return empty_file()
        how = CODES[self.code], self.num_links, self.ef_construction
        return filled(trained_graph(vectors, *how, 10_000, self.seed), vectors)

    def search(self, built, vectors, asked, num_found, rows=None) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking.search`."""
        wide = max(self.ef_search, num_found, self.num_rescored)
        return _search(self, built, vectors, asked, num_found, rows, faiss.SearchParametersHNSW, efSearch=wide)


def _search(component, built: FaissFile, vectors, asked, num_found, rows, parameters, **settings):
    """The nearest that the index finds; exact where there are few, or few are allowed."""
    among = len(vectors) if rows is None else len(rows)
    if not len(built.data) or among <= component.exact_below:
        return exact_search(vectors, asked, num_found, rows)
    asked = np.ascontiguousarray(asked, np.float32)
    if rows is not None:
        settings["sel"] = faiss.IDSelectorBitmap(np.packbits(_mask(rows, len(vectors)), bitorder="little"))
    num_listed = min(max(num_found, component.num_rescored), among)
    scores, found = opened(built).search(asked, num_listed, params=parameters(**settings))
    if component.num_rescored:
        for q, row in enumerate(found):
            known = row >= 0
            scores[q, known] = vectors[row[known]].astype(np.float32) @ asked[q]
    scores = np.where(found >= 0, scores, -np.inf).astype(np.float32)
    order = np.lexsort((found, -scores))[:, :num_found]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(found, order, 1)


def _mask(rows: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[rows] = True
    return mask
