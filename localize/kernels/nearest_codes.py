"""The codes that disagree least with a query (`nibble_tables`), of blocks in a row: the few nearest, kept in order."""

import numpy as np
from numba import njit

from localize.kernels.nibble_tables import ENTRIES, FAR, sums_of_block
from localize.kernels.vector_code import BLOCK, trailing_zeros

SHIFT, POSITION = 40, (1 << 40) - 1  # a key is a code's sum << SHIFT | its position in the blocks


@njit(nogil=True, cache=True)
def nearest_in_blocks(first, number, codes, tables, query, width, keys, size, sums):
    """Bring the nearest of the codes that begin with block `first` into a query's keys; how many these now are.

    number: of codes; codes: all blocks, flat uint8; tables: of all queries, flat uint8; width: a tuple of as many items
    as a code has words. keys (K,) int64, of which the first `size` are filled: the nearest codes, in their order, of
    equal ones those of smaller position. sums (BLOCK,) uint8: scratch.
    """
    block_size, table = 8 * len(width) * BLOCK, query * (16 * len(width) * ENTRIES)
    room = keys.shape[0]
    limit = FAR if size < room else keys[room - 1] >> SHIFT
    for block in range(first, first + (number + BLOCK - 1) // BLOCK):
        near = sums_of_block(width, codes, block * block_size, tables, table, limit, sums)
        here = first * BLOCK + number - block * BLOCK
        if here < BLOCK:
            near &= np.uint64(1 << here) - np.uint64(1)
        while near:
            lane = np.int64(trailing_zeros(near))
            near &= near - np.uint64(1)
            key = np.int64(sums[lane]) << SHIFT | (block * BLOCK + lane)
            if size < room:
                size += 1
            elif key > keys[room - 1]:  # the limit fell within this block, or it is the last of equal ones
                continue
            i = size - 1
            while i > 0 and keys[i - 1] > key:
                keys[i] = keys[i - 1]
                i -= 1
            keys[i] = key
            if size == room:
                limit = keys[room - 1] >> SHIFT
    return size
