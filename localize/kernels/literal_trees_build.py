"""The paper's supervised random trees over binary descriptors, read literally, as flat arrays.

After Feng, Fan & Wu, IEEE TIP 25(1), 2016 (supervised tests that keep observations of one point together, leaves of
even size); the selection formula is our own, since the paper's is not public.
"""

import numpy as np
from numba import njit

from localize.kernels.splitmix64 import random_below


@njit(nogil=True, cache=True)
def choose_test(bits, point, order, lo, hi, candidates, balance_tolerance):
    """The candidate bit of lowest label error among those balanced within the tolerance; if none is, the best balanced.

    bits (M, bytes) uint8, eight in each, the lowest first; point (M,); order[lo:hi] = the window's rows, those of one
    point adjacent. Label error of a bit = mean over points with n >= 2 rows in the window of
    2 c (n - c) / (n (n - 1)), c = number of ones.
    """
    k = candidates.shape[0]
    ones = np.zeros(k, np.int64)
    run_ones = np.zeros(k, np.int64)
    error = np.zeros(k, np.float64)
    num_points, run = 0, 0
    for i in range(lo, hi):
        row = order[i]
        for c in range(k):
            run_ones[c] += bits[row, candidates[c] >> 3] >> (candidates[c] & 7) & 1
        run += 1
        if i + 1 == hi or point[order[i + 1]] != point[row]:
            for c in range(k):
                ones[c] += run_ones[c]
                if run >= 2:
                    error[c] += 2.0 * run_ones[c] * (run - run_ones[c]) / (run * (run - 1.0))
                run_ones[c] = 0
            num_points += run >= 2
            run = 0
    best, best_error, best_balance = -1, np.inf, np.inf
    balanced = -1
    for c in range(k):
        balance = abs(ones[c] / (hi - lo) - 0.5)
        if num_points and balance <= balance_tolerance and error[c] < best_error:
            best, best_error = c, error[c]
        if balance < best_balance:
            balanced, best_balance = c, balance
    return candidates[best if best >= 0 else balanced]


@njit(nogil=True, cache=True)
def _show_one_point(point, order, lo, hi):
    """Whether all the rows order[lo:hi] show the same point."""
    i = lo + 1
    while i < hi and point[order[i]] == point[order[lo]]:
        i += 1
    return i >= hi


@njit(nogil=True, cache=True)
def _list_untested(bit, parent, node, used, free):
    """Write the bits that no node above tests, as a second test splits nothing, to free (D,), and return how many.

    used (D,) bool: scratch.
    """
    used[:] = False
    up = parent[node]
    while up >= 0:
        used[bit[up]] = True
        up = parent[up]
    num_free = 0
    for k in range(used.shape[0]):
        if not used[k]:
            free[num_free] = k
            num_free += 1
    return num_free


@njit(nogil=True, cache=True)
def _partition(bits, test, order, lo, hi, scratch):
    """Put the rows order[lo:hi] with a 0 in the bit first, else in their order: rows of a point stay adjacent.

    Returns where the ones begin. scratch: as long as order.
    """
    zeros, ones = lo, 0
    for i in range(lo, hi):
        if bits[order[i], test >> 3] >> (test & 7) & 1:
            scratch[ones] = order[i]
            ones += 1
        else:
            order[zeros] = order[i]
            zeros += 1
    order[zeros:hi] = scratch[:ones]
    return zeros


@njit(nogil=True, cache=True)
def build_tree(bits, d, point, order, max_depth, min_split, num_candidates, window, balance_tolerance, seed):
    """One tree over rows `order` (M,), which is permuted in place so that each leaf's rows are contiguous.

    bits: see `choose_test`; d: number of bits.

    On entry the rows of one point must be adjacent in `order`, the points in random order. Returns bit (-1 = leaf),
    left and right child (-1 = none), lo and hi (the node's rows are order[lo:hi]); node 0 is the root.
    """
    m = bits.shape[0]
    capacity = m + 64
    bit = np.full(capacity, -1, np.int16)
    left = np.full(capacity, -1, np.int32)
    right = np.full(capacity, -1, np.int32)
    parent = np.full(capacity, -1, np.int32)
    lo, hi, depth = np.zeros(capacity, np.int32), np.zeros(capacity, np.int32), np.zeros(capacity, np.int32)
    hi[0] = m
    count, node = 1, 0
    state = np.array([seed], np.uint64)
    scratch = np.empty(m, order.dtype)
    free = np.empty(d, np.int64)
    used = np.zeros(d, np.bool_)
    while node < count:  # breadth first: children are appended behind
        a, b = lo[node], hi[node]
        num_free = 0
        if depth[node] < max_depth and b - a >= min_split and not _show_one_point(point, order, a, b):
            num_free = _list_untested(bit, parent, node, used, free)
        if num_free == 0:
            node += 1
            continue
        num = min(num_candidates, num_free)
        for k in range(num):
            j = k + random_below(state, num_free - k)
            free[k], free[j] = free[j], free[k]
        start = a
        if b - a > window:
            start = a + random_below(state, b - a - window + 1)
        test = choose_test(bits, point, order, start, min(b, start + window), free[:num], balance_tolerance)
        zeros = _partition(bits, test, order, a, b, scratch)
        bit[node] = test
        if zeros > a:
            left[node] = count
            lo[count], hi[count], parent[count], depth[count] = a, zeros, node, depth[node] + 1
            count += 1
        if zeros < b:
            right[node] = count
            lo[count], hi[count], parent[count], depth[count] = zeros, b, node, depth[node] + 1
            count += 1
        if count + 2 > bit.shape[0]:  # single-child chains can outgrow the first guess
            bit, left, right = _grown(bit), _grown(left), _grown(right)
            lo, hi, parent, depth = _grown(lo), _grown(hi), _grown(parent), _grown(depth)
        node += 1
    return bit[:count].copy(), left[:count].copy(), right[:count].copy(), lo[:count].copy(), hi[:count].copy()


@njit(nogil=True, cache=True)
def _grown(array):
    larger = np.full(2 * array.shape[0], -1, array.dtype)
    larger[: array.shape[0]] = array
    return larger
