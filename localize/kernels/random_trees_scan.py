"""Items of the leaves that a query visits: ranked by how much their codes disagree with it, the nearest re-scored."""

import numpy as np
from numba import njit

from localize.kernels.nearest import with_one_more
from localize.kernels.nearest_codes import POSITION, SHIFT, nearest_in_blocks
from localize.kernels.nibble_tables import ENTRIES
from localize.kernels.vector_code import BLOCK, LINE, prefetch

FEW, CLEAR = 4, 48  # what is enough, see `best_two_of_shortlists`


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
def scan_leaves(start, queries, first_block, leaf_items, codes, tables, width, keys, size):
    """Bring the nearest codes of the leaves that each query visits into its keys (Q, K), and how many into size (Q,).

    start, queries: as `pairs_by_leaf` gives them; first_block (L + 1,), leaf_items (L,): where each leaf's blocks begin
    and how many codes they hold; the others: see `nearest_in_blocks`. A leaf's codes are read once for all queries that
    visit it: of a photo's, which are alike, there are many.
    """
    sums, of_query, room = np.empty(BLOCK, np.uint8), 16 * len(width) * ENTRIES, keys.shape[1]
    flat, last = keys.reshape(-1), queries.shape[0] - 1
    size[:] = 0
    for leaf in range(leaf_items.shape[0]):
        for k in range(start[leaf], start[leaf + 1]):
            q, following = np.int64(queries[k]), np.int64(queries[min(k + 1, last)])
            for at in range(0, of_query, LINE):
                prefetch(tables, following * of_query + at)
            for at in range(0, room, LINE // 8):
                prefetch(flat, following * room + at)
            size[q] = nearest_in_blocks(
                first_block[leaf], leaf_items[leaf], codes, tables, q, width, keys[q], size[q], sums
            )


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _similarity(query, values):
    """Dot product of a query (D,) float32 with 8-bit values (D,)."""
    total = np.float32(0)
    for k in range(query.shape[0]):
        total += query[k] * np.float32(values[k])
    return total


@njit(nogil=True, cache=True)
def _distinct(keys, size, few, block_items, chosen):
    """The distinct items of the first `size` keys, their order kept; how many, written to chosen (K,) int32.

    Behind the first `few`, none whose sum is CLEAR or more above the smallest.
    """
    distinct = 0
    for i in range(size):
        if distinct >= few and (keys[i] - keys[0]) >> SHIFT >= CLEAR:
            break
        item, k = block_items[keys[i] & POSITION], 0
        while k < distinct and chosen[k] != item:
            k += 1
        if k == distinct:
            chosen[distinct] = item
            distinct += 1
    return distinct


@njit(nogil=True, cache=True)
def _best_two(query, chosen, values, scale, point):
    """The best similarity of a query with the chosen items, its point, and the best of another point."""
    best, its_point, second = np.float32(-np.inf), np.int32(-1), np.float32(-np.inf)
    for item in chosen:
        value = scale[item] * _similarity(query, values[item])
        best, its_point, second = with_one_more(value, point[item], best, its_point, second)
    return best, its_point, second


@njit(nogil=True, cache=True)
def best_two_of_shortlists(descriptors, keys, size, few, block_items, items, best, best_point, second):
    """For each query the best similarity, its point, and the best similarity of another point, among the items of keys
    (Q, K), of which the first size (Q,) are filled.

    descriptors (Q, D) float32; block_items (B * BLOCK,): the item of each code; items: values (N, D) int8, scale (N,)
    float32 and point (N,). Ties go to the smaller point. A query without items gets -inf and -1.

    Where one code is nearest by far, the others need not all be compared: behind the first `few` items, those whose
    sums are CLEAR or more above the smallest are not. FEW is enough where each item is a point of its own; where a
    point has several, another point's might all be left out.

    Memory answers late: what is needed of a query is asked for now, and used when the next queries' are asked for.
    """
    values, scale, point = items
    num, flat = descriptors.shape[0], values.reshape(-1)
    chosen, distinct = np.empty((2, keys.shape[1]), np.int32), np.zeros(2, np.int64)
    for q in range(num + 2):
        if q < num:
            for i in range(size[q]):
                prefetch(block_items, keys[q, i] & POSITION)
        if q > 1:
            done = q - 2
            mine = chosen[done % 2, : distinct[done % 2]]
            best[done], best_point[done], second[done] = _best_two(descriptors[done], mine, values, scale, point)
        if 0 < q <= num:
            now = (q - 1) % 2
            distinct[now] = _distinct(keys[q - 1], size[q - 1], few, block_items, chosen[now])
            for i in range(distinct[now]):
                item = np.int64(chosen[now, i])
                prefetch(scale, item)
                prefetch(point, item)
                for k in range(0, values.shape[1], LINE):
                    prefetch(flat, item * values.shape[1] + k)
