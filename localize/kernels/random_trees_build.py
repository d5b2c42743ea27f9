"""Random trees over packed binary codes, each test chosen by the information it keeps about a point.

After Feng, Fan & Wu, IEEE TIP 25(1), 2016 (supervised tests that keep observations of one point together, leaves of
even size). Balance and label error in one number: the capacity of a binary channel, Shannon 1948.
"""

import numpy as np
from numba import njit

from localize.kernels.splitmix64 import random_below
from localize.kernels.vector_code import BLOCK

PRIOR = 64.0  # weight, in points, of a bit's flip rate in the whole map against that in a node


@njit(nogil=True, cache=True)
def _entropy(p):
    """Binary entropy in bits."""
    if p <= 0.0 or p >= 1.0:
        return 0.0
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


@njit(nogil=True, cache=True)
def choose_bit(codes, item, lo, hi, point, flips, has_flips, flip_rate, candidates):
    """The candidate bit that tells most of which item a new observation shows: the largest H(p * f) - H(f); -1 = none.

    p = share of ones among the items lo..hi; f = rate at which two observations of a point differ in the bit, among
    these items' points, drawn towards flip_rate (D,); p * f = p (1 - f) + (1 - p) f; H = binary entropy. A bit that
    is equal for all of them tells nothing.
    """
    k = candidates.shape[0]
    ones, flipped = np.zeros(k, np.int64), np.zeros(k, np.int64)
    pairs = 0
    for i in range(lo, hi):
        p = point[item[i]]
        for c in range(k):
            ones[c] += np.int64((codes[i, candidates[c] >> 6] >> np.uint64(candidates[c] & 63)) & np.uint64(1))
        if has_flips[p]:
            pairs += 1
            for c in range(k):
                flipped[c] += np.int64((flips[p, candidates[c] >> 6] >> np.uint64(candidates[c] & 63)) & np.uint64(1))
    best, most = -1, 0.0
    for c in range(k):
        if ones[c] == 0 or ones[c] == hi - lo:
            continue
        p = ones[c] / (hi - lo)
        f = (flipped[c] + PRIOR * flip_rate[candidates[c]]) / (pairs + PRIOR)
        kept = _entropy(p * (1 - f) + (1 - p) * f) - _entropy(f)
        if best < 0 or kept > most:
            best, most = candidates[c], kept
    return best


@njit(nogil=True, cache=True)
def split(codes, item, lo, hi, bit):
    """Move the rows lo..hi of codes and item so that those with a 0 in the bit come first; where the ones begin."""
    word, shift = bit >> 6, np.uint64(bit & 63)
    i, j = lo, hi - 1
    while True:
        while i <= j and (codes[i, word] >> shift) & np.uint64(1) == 0:
            i += 1
        while i <= j and (codes[j, word] >> shift) & np.uint64(1) == 1:
            j -= 1
        if i >= j:
            return i
        for w in range(codes.shape[1]):
            codes[i, w], codes[j, w] = codes[j, w], codes[i, w]
        item[i], item[j] = item[j], item[i]
        i += 1
        j -= 1


@njit(nogil=True, cache=True)
def build_tree(codes, item, point, flips, has_flips, flip_rate, max_depth, leaf_size, num_candidates, window, seed):
    """One tree over codes (N, words) of items `item` (N,) int32, both permuted in place; rows come in random order.

    point (items,) of each item; flips (P, words), has_flips (P,): in which bits two observations of a point differ.
    Returns nodes (int64: 1024 * first child + bit tested, its children adjacent, 0 first; a leaf l is -1 - l),
    leaf_lo and leaf_hi: the leaf's items are item[lo:hi]. Node 0 is the root, children come behind their parents.
    """
    dim = flip_rate.shape[0]
    capacity = 64 + 4 * (codes.shape[0] // leaf_size + 1)
    nodes, lo, hi = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    depth = np.empty(capacity, np.int64)
    lo[0], hi[0], depth[0] = 0, codes.shape[0], 0
    leaf_lo, leaf_hi = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    state, drawn = np.array([seed], np.uint64), np.arange(dim)
    count, num_leaves, node = 1, 0, 0
    while node < count:
        a, b, bit = lo[node], hi[node], -1
        if b - a > leaf_size and depth[node] < max_depth:
            for k in range(min(num_candidates, dim)):
                j = k + random_below(state, dim - k)
                drawn[k], drawn[j] = drawn[j], drawn[k]
            sample = min(b, a + window)  # the rows are in random order: the first are a random sample
            bit = choose_bit(codes, item, a, sample, point, flips, has_flips, flip_rate, drawn[:num_candidates])
        if bit < 0:
            leaf_lo[num_leaves], leaf_hi[num_leaves], nodes[node] = a, b, -1 - num_leaves
            num_leaves += 1
        else:
            if count + 2 > nodes.shape[0]:  # uneven splits can outgrow the first guess
                nodes, lo, hi, depth = _grown(nodes), _grown(lo), _grown(hi), _grown(depth)
                leaf_lo, leaf_hi = _grown(leaf_lo), _grown(leaf_hi)
            middle = split(codes, item, a, b, bit)
            nodes[node] = 1024 * count + bit
            lo[count], hi[count], depth[count] = a, middle, depth[node] + 1
            lo[count + 1], hi[count + 1], depth[count + 1] = middle, b, depth[node] + 1
            count += 2
        node += 1
    return nodes[:count].copy(), leaf_lo[:num_leaves].copy(), leaf_hi[:num_leaves].copy()


@njit(nogil=True, cache=True)
def _grown(array):
    larger = np.empty(2 * array.shape[0], array.dtype)
    larger[: array.shape[0]] = array
    return larger


@njit(nogil=True, cache=True)
def lay_out(codes, item, leaf_lo, leaf_hi, first_block, blocks, block_items):
    """Write each leaf's codes and items in blocks: codes (N, bytes) uint8, blocks (B, bytes, BLOCK), block_items
    (B, BLOCK).

    first_block (L + 1,) says where each leaf's begin; what fills a last block up is 0.
    """
    blocks[:], block_items[:] = 0, 0
    for leaf in range(leaf_lo.shape[0]):
        for row in range(leaf_lo[leaf], leaf_hi[leaf]):
            k = row - leaf_lo[leaf]
            b, lane = first_block[leaf] + k // BLOCK, k % BLOCK
            block_items[b, lane] = item[row]
            for w in range(codes.shape[1]):
                blocks[b, w, lane] = codes[row, w]
