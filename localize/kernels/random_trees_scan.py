"""Items of the leaves that a query visits: ranked by how much their codes disagree with it, the nearest re-scored."""

import numpy as np
from numba import njit

from localize.kernels.nearest import with_one_more
from localize.kernels.nearest_codes import POSITION, nearest_in_blocks
from localize.kernels.vector_code import BLOCK, LINE, prefetch


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _similarity(query, values):
    """Dot product of a query (D,) float32 with 8-bit values (D,)."""
    total = np.float32(0)
    for k in range(query.shape[0]):
        total += query[k] * np.float32(values[k])
    return total


@njit(nogil=True, cache=True)
def _distinct(keys, size, block_items, chosen):
    """The distinct items of the first `size` keys, their order kept; how many, written to chosen (K,) int32."""
    distinct = 0
    for i in range(size):
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
def best_two_of_leaves(queries, visited, blocks, items, keep, best, best_point, second):
    """For each query the best similarity, its point, and the best similarity of another point, among the `keep` codes
    that disagree least with it.

    queries: descriptors (Q, D) float32, tables of all queries, flat uint8, and a tuple of as many items as a code has
    words (`nibble_tables`). visited: indptr (Q + 1,), leaves. blocks: where each leaf's begin (L + 1,), how many codes
    they hold (L,), the codes, flat uint8, and the item of each (B * BLOCK,). items: values (N, D) int8, scale (N,)
    float32 and point (N,). Ties go to the smaller point. A query without items gets -inf and -1.

    Memory answers late: what a query's next step needs is asked for now, and used when the next queries are scanned.
    """
    descriptors, tables, width = queries
    indptr, leaves = visited
    first_block, leaf_items, codes, block_items = blocks
    values, scale, point = items
    num, flat = descriptors.shape[0], values.reshape(-1)
    keys, chosen, sums = np.empty((3, keep), np.int64), np.empty((3, keep), np.int32), np.empty(BLOCK, np.uint8)
    size, distinct = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for q in range(num + 2):
        if q < num:
            now = q % 3
            size[now] = 0
            for i in range(indptr[q], indptr[q + 1]):
                leaf, following = leaves[i], leaves[min(i + 1, leaves.shape[0] - 1)]
                size[now] = nearest_in_blocks(
                    *(first_block[leaf], leaf_items[leaf], codes, tables, q, width),
                    *(keys[now], size[now], sums, first_block[following]),
                )
            for i in range(size[now]):
                prefetch(block_items, keys[now, i] & POSITION)
        if 0 < q <= num:
            now = (q - 1) % 3
            distinct[now] = _distinct(keys[now], size[now], block_items, chosen[now])
            for i in range(distinct[now]):
                item = np.int64(chosen[now, i])
                prefetch(scale, item)
                prefetch(point, item)
                for k in range(0, values.shape[1], LINE):
                    prefetch(flat, item * values.shape[1] + k)
        if q > 1:
            now, done = (q - 2) % 3, q - 2
            found = _best_two(descriptors[done], chosen[now, : distinct[now]], values, scale, point)
            best[done], best_point[done], second[done] = found
