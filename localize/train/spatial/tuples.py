"""Tuples to learn from: a query, a positive, and hard negatives, which look most like the query and are elsewhere.

Radenovic, Tolias & Chum, TPAMI 2019, section 3.3; Tolias, Jenicek & Chum, ECCV 2020 (HOW), section 4.
"""

import numpy as np

from localize.train.spatial.sources import Photos
from localize.types import InputError


def draw_pairs(pairs: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) of the pairs (P, 2): queries in turn, each with one of its positives; all before one comes again."""
    order = np.argsort(pairs[:, 0], kind="stable")
    queries, starts, numbers = np.unique(pairs[order, 0], return_index=True, return_counts=True)
    turns = [rng.permutation(len(queries)) for _ in range(-(-count // len(queries)))]
    turn = np.concatenate(turns)[:count]
    return pairs[order[starts[turn] + rng.integers(numbers[turn])]]


def hard_negatives(ranked: np.ndarray, query: int, photos: Photos, count: int) -> list[int]:
    """The first `count` of the ranked photos (R,) that are elsewhere than the query and than each other.

    Fewer, if there are no more. So at most one is taken of each place, or of each 3D model.
    """
    allowed, found = photos.elsewhere(query), []
    for photo in ranked:
        if allowed[photo]:
            found.append(int(photo))
            if len(found) == count:
                break
            allowed &= photos.elsewhere(photo)
    return found


def mined(
    photos: Photos, pairs: np.ndarray, pool: np.ndarray, asked: np.ndarray, known: np.ndarray, count: int
) -> np.ndarray:
    """(T, 2 + count) int64 photos: query, positive and negatives of each of the pairs (T, 2).

    pool (R,): photos to choose negatives from; asked (T, D) and known (R, D): descriptors of unit length of the
    queries and of the pool. InputError if a query has fewer photos elsewhere.
    """
    tuples = np.empty((len(pairs), 2 + count), np.int64)
    tuples[:, :2] = pairs
    for row, (query, vector) in enumerate(zip(pairs[:, 0], asked, strict=True)):
        ranked = pool[np.argsort(-(known @ vector), kind="stable")]
        found = hard_negatives(ranked, query, photos, count)
        if len(found) < count:
            raise InputError(
                f"of {len(pool)} photos only {len(found)} show places other than {photos.paths[query]} and than each "
                f"other, but {count} are needed: take a smaller pipeline.data.negatives, or give more places"
            )
        tuples[row, 2:] = found
    return tuples
