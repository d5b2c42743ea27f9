"""Exact search among global descriptors, a block of references at a time."""

from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.retrieval.restrictions import Restrictions

BLOCK_BYTES = 64 << 20  # of references in float32 at a time
STEP = 1024  # faiss compares so many references at once: in blocks of its multiples, sums are the same to the bit


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
    scores, found = np.empty((len(asked), 0), np.float32), np.empty((len(asked), 0), np.int64)
    block = max(STEP, BLOCK_BYTES // (4 * max(1, vectors.shape[1])) // STEP * STEP)
    for at in range(0, count, block):
        part = vectors[at : at + block] if rows is None else vectors[rows[at : at + block]]
        part = np.ascontiguousarray(part, np.float32)
        best, row = faiss.knn(asked, part, min(num_found, len(part)), metric=faiss.METRIC_INNER_PRODUCT)
        scores = np.concatenate([scores, best], axis=1)
        found = np.concatenate([found, row + at], axis=1)
        order = np.lexsort((found, -scores))[:, :num_found]
        scores, found = np.take_along_axis(scores, order, 1), np.take_along_axis(found, order, 1)
    return scores, found if rows is None else rows[found]
