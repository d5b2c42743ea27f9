"""Exact search among global descriptors, a block of references at a time."""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.retrieval.restrictions import Restrictions

BLOCK_BYTES = 64 << 20  # of references in float32 at a time
STEP = 1024  # faiss compares so many references at once: in blocks of its multiples, sums are the same to the bit
MULTIPLIED = 20  # queries from which on faiss multiplies matrices: fewer give sums that differ in the last bit
SORTED_BYTES = 64 << 20  # of whole blocks sorted for queries whose last place is tied


@dataclass(frozen=True)
class ExactRanking(Restrictions):
    """Every reference is compared with every query. Memory: the vectors, which may lie on the disk, and one block."""

    VERSION: ClassVar[int] = 1

    def search(self, built, vectors, asked, num_found, rows=None) -> tuple[np.ndarray, np.ndarray]:
        """See `Ranking.search`. Of equal ones, the earlier reference comes first."""
        return exact_search(vectors, asked, num_found, rows)


def exact_search(
    vectors: np.ndarray, asked: np.ndarray, num_found: int, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Dot products (Q, K) float32, descending, and rows (Q, K) int64 of the best of vectors (R, D); K <= num_found.

    Ties go to the earlier row. vectors: float32 or float16, possibly memory-mapped; rows: only these, ascending.
    """
    count = len(vectors) if rows is None else len(rows)
    num_found = min(num_found, count)
    asked = np.ascontiguousarray(asked, np.float32)
    block = max(STEP, BLOCK_BYTES // (4 * max(1, vectors.shape[1])) // STEP * STEP)
    if num_found == count > block:
        scores, found = _all_sorted(vectors, asked, rows, count, block)
        return scores, found if rows is None else rows[found]
    scores, found = np.empty((len(asked), 0), np.float32), np.empty((len(asked), 0), np.int64)
    for at in range(0, count, block):
        part = _part(vectors, rows, at, block)
        best, row = _nearest(asked, part, min(num_found, len(part)))
        scores = np.concatenate([scores, best], axis=1)
        found = np.concatenate([found, row + at], axis=1)
        order = np.lexsort((found, -scores))[:, :num_found]
        scores, found = np.take_along_axis(scores, order, 1), np.take_along_axis(found, order, 1)
    return scores, found if rows is None else rows[found]


def _nearest(asked: np.ndarray, part: np.ndarray, num_found: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and rows (Q, num_found) of one block, ties in any order.

    Of equal ones at the last place faiss keeps any, not the first: where there are more, the whole block is sorted.
    """
    more = min(num_found + 1, len(part))
    scores, found = faiss.knn(asked, part, more, metric=faiss.METRIC_INNER_PRODUCT)
    if more > num_found:
        tied = np.flatnonzero(scores[:, -2] == scores[:, -1])
        step = max(MULTIPLIED, SORTED_BYTES // (12 * len(part)))
        for some in (tied[at : at + step] for at in range(0, len(tied), step)):
            again = np.resize(asked[some], (max(len(some), min(MULTIPLIED, len(asked))), asked.shape[1]))
            best, row = (of[: len(some)] for of in faiss.knn(again, part, len(part), metric=faiss.METRIC_INNER_PRODUCT))
            order = np.lexsort((row, -best))[:, :num_found]
            scores[some, :num_found] = np.take_along_axis(best, order, 1)
            found[some, :num_found] = np.take_along_axis(row, order, 1)
    return scores[:, :num_found], found[:, :num_found]


def _part(vectors: np.ndarray, rows: np.ndarray | None, at: int, block: int) -> np.ndarray:
    """(block, D) float32 from the place `at`, of all vectors or of these rows."""
    part = vectors[at : at + block] if rows is None else vectors[rows[at : at + block]]
    return np.ascontiguousarray(part, np.float32)


def _all_sorted(vectors, asked, rows, count: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """All of them in order: sorted once for each query, where sorting again after each block would take minutes."""
    scores, found = np.empty((len(asked), count), np.float32), np.empty((len(asked), count), np.int64)
    for at in range(0, count, block):
        scores[:, at : at + block] = asked @ _part(vectors, rows, at, block).T
    for of_query, order in zip(scores, found, strict=True):
        order[:] = np.argsort(-of_query, kind="stable")
        of_query[:] = of_query[order]
    return scores, found
