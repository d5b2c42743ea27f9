"""Tentative matches of two photos' regions: all pairs of one channel, which stands in for a visual word."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def tentative_pairs(query_channels, first, last, reference_channels, other, end):
    """All pairs (T, 2) int32 of rows of one channel, from first to last and other to end, by the query's row."""
    count, start, stop = 0, other, other
    pairs = np.empty((0, 2), np.int32)
    for filling in range(2):
        if filling:
            pairs = np.empty((count, 2), np.int32)
            count, start, stop = 0, other, other
        for q in range(first, last):
            while start < end and reference_channels[start] < query_channels[q]:
                start += 1
            stop = max(stop, start)
            while stop < end and reference_channels[stop] == query_channels[q]:
                stop += 1
            if filling:
                for r in range(start, stop):
                    pairs[count, 0], pairs[count, 1] = q, r
                    count += 1
            else:
                count += stop - start
    return pairs


@njit(nogil=True, cache=True)
def strongest_pairs(pairs, query_strengths, reference_strengths, num_kept):
    """The pairs of the highest product of strengths, those first in the list where alike; the order stays."""
    products = np.empty(len(pairs))
    for t in range(len(pairs)):
        products[t] = -query_strengths[pairs[t, 0]] * reference_strengths[pairs[t, 1]]
    return pairs[np.sort(np.argsort(products, kind="mergesort")[:num_kept])]


@njit(nogil=True, cache=True)
def most_inliers(pairs, other, end):
    """As many inliers as one-to-one matches could be: the fewer of the query's and of the reference's regions."""
    num_query, num_reference, seen = 0, 0, np.zeros(end - other, np.bool_)
    for t in range(len(pairs)):
        num_query += t == 0 or pairs[t, 0] != pairs[t - 1, 0]
        num_reference += not seen[pairs[t, 1] - other]
        seen[pairs[t, 1] - other] = True
    return min(num_query, num_reference)
