"""Sums of the descriptors of each 3D point's observations, in one pass over rows in any order.

Arrays in, arrays out, on one thread without the GIL. Callers run several at once, each for items of its own, so that
no two write to the same sum and the order of addition, hence the result, is always that of the rows.
"""

import numpy as np
from numba import njit

from localize.kernels.rows import read_row


@njit(nogil=True, cache=True)
def count_rows(point, counts):
    """Add to counts (P,) int32 how many of the rows show each point; point (M,) int32."""
    for row in range(point.shape[0]):
        counts[point[row]] += 1


@njit(nogil=True, cache=True)
def add_rows(descriptors, half, point, item_of_point, first, part, num_parts, sums):
    """Add every row to the sum of its item.

    descriptors (M, D): float32, or with `half` the bits of float16 values as uint16; point (M,); item_of_point (P,);
    sums (B, D) float32 of the items from `first`, of which those whose number modulo num_parts is `part` are filled.
    """
    bits = np.empty(descriptors.shape[1], np.uint32)
    wide = bits.view(np.float32)
    for row in range(point.shape[0]):
        item = item_of_point[point[row]] - first
        if item < 0 or item >= sums.shape[0] or item % num_parts != part:
            continue
        read_row(descriptors[row], half, bits, wide)
        for k in range(sums.shape[1]):
            sums[item, k] += wide[k]
