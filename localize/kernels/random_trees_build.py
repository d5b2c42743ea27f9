"""Random trees over values along directions, each test chosen by what it tells of the item that was observed.

After Feng, Fan & Wu, IEEE TIP 25(1), 2016 (supervised tests that keep observations of one point together, leaves of
even size). Balance and error in one number: the mutual information of item and outcome (Shannon 1948).
"""

import numpy as np
from numba import njit

from localize.kernels.splitmix64 import random_below
from localize.kernels.vector_code import BLOCK

PARTS = 8  # of the items in a node, between which thresholds are tried
DIRECTION, THRESHOLD = 16, 32768  # a node is first child << 32 | direction << DIRECTION | threshold + THRESHOLD


@njit(nogil=True, cache=True)
def entropy(p):
    """Binary entropy in bits."""
    if p <= 0.0 or p >= 1.0:
        return 0.0
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


@njit(nogil=True, cache=True)
def choose_test(steps, item, lo, hi, directions, chance):
    """(direction, threshold) of the test that tells most of which of the items lo..hi was observed; -1 if none does.

    A test is value > threshold. Along each of the directions (C,), the values between PARTS equal parts of the items
    are tried. steps (N, K) int16: values of items. chance (2 R + 1,): probability that an observation of an item which
    lies d above a threshold comes out above it, at R + d, beyond as at the ends. What a test tells is H(p * f) - H(f),
    with p the share of items above the threshold, f that of observations on the wrong side of it, p * f = p (1 - f) +
    (1 - p) f, H the binary entropy.
    """
    number, reach = hi - lo, chance.shape[0] // 2
    values = np.empty(number, np.int16)
    best, threshold, most = -1, 0, 0.0
    for k in directions:
        for i in range(number):
            values[i] = steps[item[lo + i], k]
        values.sort()
        for part in range(1, PARTS):
            middle = np.int64(values[(number * part - 1) // PARTS])
            if middle == values[number - 1]:  # no value lies above it
                break
            above, wrong = 0.0, 0.0
            for i in range(number):
                place = min(max(np.int64(values[i]) - middle + reach, 0), 2 * reach)
                above += values[i] > middle
                wrong += min(chance[place], 1 - chance[place])
            p, f = above / number, wrong / number
            told = entropy(p * (1 - f) + (1 - p) * f) - entropy(f)
            if best < 0 or told > most:
                best, threshold, most = k, middle, told
    return best, threshold


@njit(nogil=True, cache=True)
def split(steps, item, lo, hi, direction, threshold):
    """Reorder item[lo:hi] so that those not above the threshold come first; where the others begin."""
    i, j = lo, hi - 1
    while True:
        while i <= j and steps[item[i], direction] <= threshold:
            i += 1
        while i <= j and steps[item[j], direction] > threshold:
            j -= 1
        if i >= j:
            return i
        item[i], item[j] = item[j], item[i]
        i += 1
        j -= 1


@njit(nogil=True, cache=True)
def _candidates(used, number, state, drawn):
    """How many of the directions that are not used, at most `number` and each at random, are now first in drawn."""
    free = 0
    for k in range(drawn.shape[0]):
        if not (used >> np.uint64(k)) & np.uint64(1):
            drawn[free] = k
            free += 1
    for k in range(min(number, free)):
        j = k + random_below(state, free - k)
        drawn[k], drawn[j] = drawn[j], drawn[k]
    return min(number, free)


@njit(nogil=True, cache=True)
def build_tree(steps, item, chance, max_depth, leaf_size, num_candidates, window, seed):
    """One tree over items `item` (N,) int32, which come in random order and are permuted in place.

    steps (N, K <= 64) int16: values of the items. On a way from the root to a leaf each direction is looked along once
    at most, so that the tests are independent. Returns nodes (int64, see DIRECTION; a node's two children are adjacent,
    that not above first; a leaf l is -1 - l), leaf_lo and leaf_hi: the leaf's items are item[lo:hi]. Node 0 is the
    root, children come behind their parents.
    """
    capacity = 64 + 4 * (item.shape[0] // leaf_size + 1)
    nodes, lo, hi = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    depth, used = np.empty(capacity, np.int64), np.empty(capacity, np.uint64)
    lo[0], hi[0], depth[0], used[0] = 0, item.shape[0], 0, 0
    leaf_lo, leaf_hi = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    state, drawn = np.array([seed], np.uint64), np.empty(steps.shape[1], np.int64)
    count, num_leaves, node = 1, 0, 0
    while node < count:
        a, b, k, threshold = lo[node], hi[node], -1, 0
        if b - a > leaf_size and depth[node] < max_depth:
            few = _candidates(used[node], num_candidates, state, drawn)
            sample = min(b, a + window)  # the items are in random order: the first are a random sample
            k, threshold = choose_test(steps, item, a, sample, drawn[:few], chance)
        if k < 0:
            leaf_lo[num_leaves], leaf_hi[num_leaves], nodes[node] = a, b, -1 - num_leaves
            num_leaves += 1
        else:
            if count + 2 > nodes.shape[0]:  # uneven splits can outgrow the first guess
                nodes, lo, hi, depth, used = _grown(nodes), _grown(lo), _grown(hi), _grown(depth), _grown(used)
                leaf_lo, leaf_hi = _grown(leaf_lo), _grown(leaf_hi)
            middle = split(steps, item, a, b, k, threshold)
            nodes[node] = count << 32 | k << DIRECTION | (threshold + THRESHOLD)
            for child, first, last in ((count, a, middle), (count + 1, middle, b)):
                lo[child], hi[child], depth[child] = first, last, depth[node] + 1
                used[child] = used[node] | np.uint64(1) << np.uint64(k)
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
    """Write each leaf's codes and items in blocks: codes (N, bytes) uint8 of the items, blocks (B, bytes, BLOCK),
    block_items (B, BLOCK).

    first_block (L + 1,) says where each leaf's begin; what fills a last block up is 0.
    """
    blocks[:], block_items[:] = 0, 0
    for leaf in range(leaf_lo.shape[0]):
        for row in range(leaf_lo[leaf], leaf_hi[leaf]):
            k = row - leaf_lo[leaf]
            b, lane = first_block[leaf] + k // BLOCK, k % BLOCK
            block_items[b, lane] = item[row]
            for w in range(codes.shape[1]):
                blocks[b, w, lane] = codes[item[row], w]
