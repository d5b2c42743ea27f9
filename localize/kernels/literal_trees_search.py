"""Leaves of the literal trees in exact order of probability: uniform-cost search (Dijkstra 1959) from the root."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, inline="always")
def _before(cost_a, node_a, cost_b, node_b):
    return cost_a < cost_b or (cost_a == cost_b and node_a < node_b)


@njit(nogil=True, cache=True)
def _push(costs, nodes, size, cost, node):
    i = size
    while i > 0:
        up = (i - 1) >> 1
        if not _before(cost, node, costs[up], nodes[up]):
            break
        costs[i], nodes[i] = costs[up], nodes[up]
        i = up
    costs[i], nodes[i] = cost, node
    return size + 1


@njit(nogil=True, cache=True)
def _drop_first(costs, nodes, size):
    size -= 1
    cost, node = costs[size], nodes[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and _before(costs[child + 1], nodes[child + 1], costs[child], nodes[child]):
            child += 1
        if not _before(costs[child], nodes[child], cost, node):
            break
        costs[i], nodes[i] = costs[child], nodes[child]
        i = child
    costs[i], nodes[i] = cost, node
    return size


@njit(nogil=True, cache=True)
def visit_leaves(roots, bit, left, right, cost_zero, cost_one, budget, costs, nodes, leaves):
    """Write the `budget` cheapest leaves below `roots` in ascending order of cost into `leaves`; returns how many.

    cost_zero, cost_one (D,) float32: cost >= 0 of following a test on bit d to the left (0) and to the right (1).
    Ties: the smaller node id (nodes of the first tree come first). costs, nodes: scratch, as long as there are nodes.
    """
    size, found = 0, 0
    for k in range(roots.shape[0]):
        size = _push(costs, nodes, size, np.float32(0), roots[k])
    while size and found < budget:
        cost, node = costs[0], nodes[0]
        size = _drop_first(costs, nodes, size)
        d = bit[node]
        if d < 0:
            leaves[found] = node
            found += 1
            continue
        if left[node] >= 0:
            size = _push(costs, nodes, size, cost + cost_zero[d], left[node])
        if right[node] >= 0:
            size = _push(costs, nodes, size, cost + cost_one[d], right[node])
    return found


@njit(nogil=True, cache=True)
def rows_of_best_leaves(roots, per_tree, bit, left, right, lo, hi, order, cost_zero, cost_one, budget, num_rows):
    """Distinct rows in each query's best leaves, as CSR: indptr (Q + 1,), rows.

    cost_zero, cost_one (Q, D) float32. per_tree: `budget` leaves in each tree, else in all trees together.
    """
    num_queries = cost_zero.shape[0]
    indptr = np.zeros(num_queries + 1, np.int64)
    rows = np.empty(max(64, 256 * num_queries), np.int32)
    costs = np.empty(bit.shape[0] + 1, np.float32)
    nodes = np.empty(bit.shape[0] + 1, np.int32)
    leaves = np.empty(budget, np.int32)
    seen = np.full(num_rows, -1, np.int32)  # the last query that took this row
    groups = roots.shape[0] if per_tree else 1
    size = 0
    for q in range(num_queries):
        for g in range(groups):
            start = roots[g : g + 1] if per_tree else roots
            found = visit_leaves(start, bit, left, right, cost_zero[q], cost_one[q], budget, costs, nodes, leaves)
            for k in range(found):
                for i in range(lo[leaves[k]], hi[leaves[k]]):
                    row = order[i]
                    if seen[row] != q:
                        seen[row] = q
                        if size == rows.shape[0]:
                            larger = np.empty(2 * size, np.int32)
                            larger[:size] = rows
                            rows = larger
                        rows[size] = row
                        size += 1
        indptr[q + 1] = size
    return indptr, rows[:size].copy()
