"""Items of the visited leaves: ranked by how much their codes disagree with the query (`nibble_tables`), leaf by leaf
for all queries at once, then re-scored.

A leaf's codes are read once and serve every query that wants them, in sequential memory. Each query keeps its `keep`
nearest codes in a buffer that is cleared of the rest, by a histogram of distances, whenever it is full; only what is
left is scored by its real values.
"""

import numpy as np
from numba import njit

from localize.kernels.nearest import with_one_more
from localize.kernels.nibble_tables import ENTRIES, FAR, sums_of_block
from localize.kernels.vector_code import BLOCK, prefetch, trailing_zeros

AHEAD = 8  # rows of descriptors asked for before they are needed
SHIFT, POSITION = 40, (1 << 40) - 1  # a key is distance << SHIFT | position


@njit(nogil=True, cache=True)
def pairs_by_leaf(indptr, leaves, num_leaves):
    """Who visits each leaf, as CSR: start (L + 1,) int64, queries int32 in ascending order."""
    start = np.zeros(num_leaves + 1, np.int64)
    for i in range(leaves.shape[0]):
        start[leaves[i] + 1] += 1
    for leaf in range(num_leaves):
        start[leaf + 1] += start[leaf]
    free, queries = start[:-1].copy(), np.empty(leaves.shape[0], np.int32)
    for q in range(indptr.shape[0] - 1):
        for i in range(indptr[q], indptr[q + 1]):
            queries[free[leaves[i]]] = q
            free[leaves[i]] += 1
    return start, queries


@njit(nogil=True, cache=True)
def keep_nearest(keys, size, keep, histogram):
    """Leave the `keep` keys (K,) int64 of smallest distance in front, in their order; of equal ones the first.

    A key is a distance << SHIFT | a position. Returns how many are left, and the distance below which another key
    must lie to come before any of these (beyond all, if there are fewer than keep). histogram: scratch, all 0.
    """
    if size < keep:
        return size, histogram.shape[0]
    for i in range(size):
        histogram[keys[i] >> SHIFT] += 1
    last, room = 0, keep
    while room > histogram[last]:
        room -= histogram[last]
        last += 1
    left = 0
    for i in range(size):
        distance = keys[i] >> SHIFT
        histogram[distance] = 0
        if distance < last or (distance == last and room > 0):
            room -= distance == last
            keys[left] = keys[i]
            left += 1
    return left, last


@njit(nogil=True, cache=True)
def scan_leaves(start, queries, first_block, leaf_items, codes, tables, width, keep, keys, size):
    """Compare the codes of all leaves with the queries that visit them.

    first_block (L + 1,), leaf_items (L,): where each leaf's blocks begin, and how many codes they hold; codes: all
    blocks, flat uint8; tables: of all queries, flat uint8 (`nibble_tables`); width: a tuple of as many items as a code
    has words. keys (Q, 2 * keep) int64 and size (Q,) int32, which starts at 0: after this the `keep` nearest
    codes of query q are among keys[q, :size[q]], by position in the blocks and in the order of the scan.
    """
    block_size, table_size = 8 * len(width) * BLOCK, 16 * len(width) * ENTRIES
    bound, histogram = np.full(size.shape[0], FAR + 1, np.int32), np.zeros(FAR + 1, np.int32)
    sums = np.empty(BLOCK, np.uint8)
    for leaf in range(start.shape[0] - 1):
        last = first_block[leaf + 1] - 1
        filled = np.uint64(1 << (leaf_items[leaf] - BLOCK * (last - first_block[leaf]))) - np.uint64(1)  # of the last
        for k in range(start[leaf], start[leaf + 1]):
            q = np.int64(queries[k])
            if bound[q] == 0:
                continue
            limit = np.int64(bound[q]) - 1
            for block in range(first_block[leaf], last + 1):
                near = sums_of_block(width, codes, block * block_size, tables, q * table_size, limit, sums)
                if block == last:
                    near &= filled
                while near:
                    lane = np.int64(trailing_zeros(near))
                    near &= near - np.uint64(1)
                    distance = np.int64(sums[lane])
                    if distance > limit:  # it fell within this block
                        continue
                    n = size[q]
                    keys[q, n] = distance << SHIFT | (block * BLOCK + lane)
                    size[q] = n + 1
                    if n + 1 == keys.shape[1]:
                        size[q], bound[q] = keep_nearest(keys[q], n + 1, keep, histogram)
                        limit = np.int64(bound[q]) - 1
                if limit < 0:  # all that are kept agree in every bit
                    break


@njit(nogil=True, cache=True)
def shortlist(keys, size, keep, block_items, histogram, table, chosen):
    """The distinct items of a query's `keep` nearest codes; how many, written to chosen (keep,) int32.

    keys (2 keep,) and size as `scan_leaves` leaves them; histogram and table (a power of two above 2 keep, int32):
    scratch.
    """
    count, _ = keep_nearest(keys, size, keep, histogram)
    for i in range(count):
        prefetch(block_items, keys[i] & POSITION)
    table[:] = -1
    distinct = 0
    for i in range(count):
        item = block_items[keys[i] & POSITION]
        place = (np.int64(item) * 2654435761 >> 16) & (table.shape[0] - 1)
        while table[place] != -1 and table[place] != item:
            place = (place + 1) & (table.shape[0] - 1)
        if table[place] == -1:
            table[place] = item
            chosen[distinct] = item
            distinct += 1
    return distinct


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _similarity(query, values):
    """Dot product of a query (D,) float32 with 8-bit values (D,)."""
    total = np.float32(0)
    for k in range(query.shape[0]):
        total += query[k] * np.float32(values[k])
    return total


@njit(nogil=True, cache=True)
def best_two_of_shortlists(descriptors, values, scale, point, block_items, keep, keys, size, best, best_point, second):
    """For each query the best similarity, its point, and the best similarity of another point.

    descriptors (Q, D) float32; values (N, D) int8 and scale (N,) float32: the items' descriptors; point (N,).
    Ties go to the smaller point. A query without items gets -inf and -1.
    """
    dim, flat = descriptors.shape[1], values.reshape(-1)
    room = 2
    while room <= 2 * keep:
        room *= 2
    table, chosen = np.empty(room, np.int32), np.empty(keep, np.int32)
    histogram = np.zeros(FAR + 1, np.int32)
    for q in range(descriptors.shape[0]):
        count = shortlist(keys[q], size[q], keep, block_items, histogram, table, chosen)
        b, p, s = np.float32(-np.inf), np.int32(-1), np.float32(-np.inf)
        for i in range(count + AHEAD):
            if i < count:
                for k in range(0, dim, 64):
                    prefetch(flat, np.int64(chosen[i]) * dim + k)
            if i < AHEAD:
                continue
            item = chosen[i - AHEAD]
            value = scale[item] * _similarity(descriptors[q], values[item])
            b, p, s = with_one_more(value, point[item], b, p, s)
        best[q], best_point[q], second[q] = b, p, s
