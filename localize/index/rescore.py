"""Nearest points among the rows that an index names, by the map's own descriptors."""

from collections.abc import Sequence

import numpy as np

from localize.kernels.nearest import best_two_points_sparse
from localize.kernels.rows import as_stored
from localize.types import LEAF, Nearest, PointRows


def nearest_of_rows(rows: PointRows, descriptors: np.ndarray, indptr: np.ndarray, found: np.ndarray) -> Nearest:
    """Nearest points of descriptors (Q, D) float32; descriptor i is compared with rows found[indptr[i]:indptr[i + 1]].

    Nothing but these rows of the map is read, straight from where they lie.
    """
    num = len(descriptors)
    best, second = np.full((2, num), -np.inf, np.float32)
    point = np.full(num, -1, np.int32)
    best_two_points_sparse(
        descriptors, *as_stored(rows.descriptors), rows.point[found], indptr, found, best, point, second
    )
    source = np.where(point >= 0, LEAF, 0).astype(np.uint8)
    return Nearest(best, point, second, source, len(found) / num if num else 0.0)


def joined_queries(parts: Sequence[Nearest]) -> Nearest:
    """Answers for consecutive parts of the queries as one."""
    if len(parts) == 1:
        return parts[0]
    names = "similarity", "point", "second", "source"
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    num = max(1, sum(map(len, parts)))
    return Nearest(**arrays, compared=sum(part.compared * len(part) for part in parts) / num)
