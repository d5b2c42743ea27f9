"""The most probable leaves of random trees, exactly and without a heap: rounds of bounded breadth-first expansion.

All nodes that cost no more than a bound are expanded, level by level; if that gives too few leaves, the bound is
raised and the expansion goes on from the nodes put aside. Then the cheapest leaves are taken. Costs are whole numbers
(-log probability in units of 1/64), so their order is exact and does not depend on the bounds tried.
"""

import numpy as np
from numba import njit

from localize.kernels.random_trees_build import DIRECTION

MAX_COST = 1 << 15  # of a path
STEP = 16  # by how much the bound is raised
LEAVES, ITEMS, MASS = 0, 1, 2  # what a budget counts
COST = np.uint64(32)  # an entry is cost << COST | node or leaf, so that one comparison and one store do for both
NUMBER = np.uint64((1 << 32) - 1)


@njit(nogil=True, cache=True)
def _expand(nodes, places, grid, bound, size, front, kept, num_kept, leaves, num_leaves):
    """Expand the first `size` nodes and all below that cost at most the bound; those that cost more are kept.

    places (K,) int64: where the query lies along each direction, counted such that places[k] less a node's threshold is
    its place in the grid, flat (2 G,) uint64: cost << COST of the first and of the second side. No branch but for
    leaves; places are unsigned, for which numba needs no check of negative ones.
    """
    one, at, size = np.uint64(1), np.uint64(0), np.uint64(size)
    num_kept, num_leaves = np.uint64(num_kept), np.uint64(num_leaves)
    last, end = np.uint64(bound) << COST | NUMBER, grid.shape[0] // 2 - 1
    while at < size:
        entry = front[at]
        at += one
        value, paid = nodes[entry & NUMBER], entry & ~NUMBER
        if value < 0:
            leaves[num_leaves] = paid | np.uint64(-1 - value)
            num_leaves += one
            continue
        place = places[np.uint64(value >> DIRECTION) & np.uint64(63)] - (value & 65535)
        first_cost = np.uint64(2 * min(max(place, 0), end))
        child = paid + np.uint64(value >> 32)
        first, second = child + grid[first_cost], child + one + grid[first_cost + one]
        front[size] = first
        kept[num_kept] = first
        within = np.uint64(first <= last)
        size += within
        num_kept += one - within
        front[size] = second
        kept[num_kept] = second
        within = np.uint64(second <= last)
        size += within
        num_kept += one - within
    return np.int64(num_kept), np.int64(num_leaves)


@njit(nogil=True, cache=True, inline="always")
def _price(entry, unit, leaf_items, mass):
    """What visiting a leaf takes from the budget."""
    if unit == LEAVES:
        return 1.0
    return np.float64(leaf_items[entry & NUMBER]) if unit == ITEMS else mass[entry >> COST]


@njit(nogil=True, cache=True)
def _affordable(leaves, num_leaves, bound, unit, budget, leaf_items, mass, per_cost):
    """The cost below which all leaves are within the budget, and what is left for those at it."""
    per_cost[: bound + 1] = 0.0
    for i in range(num_leaves):
        per_cost[leaves[i] >> COST] += _price(leaves[i], unit, leaf_items, mass)
    spent = 0.0
    for c in range(bound + 1):
        if spent + per_cost[c] >= budget:
            return c, budget - spent
        spent += per_cost[c]
    return bound, np.inf


@njit(nogil=True, cache=True)
def cheapest_leaves(nodes, roots, places, grid, unit, budget, leaf_items, mass, bound, work, per_cost, out):
    """Write the cheapest leaves below the roots, as many as the budget pays for, into out; (how many, the last bound).

    budget: LEAVES, ITEMS in them or probability MASS (0..1, of all trees together; mass (MAX_COST + 1,) float64 is that
    of a leaf by its cost). The leaf that fills it is the last; of leaves of equal cost those of smaller number are
    taken first. out: room for all leaves. work (3, nodes) uint64 and per_cost (MAX_COST + 1,) float64: scratch.
    """
    front, kept, leaves = work[0], work[1], work[2]
    size, num_kept, num_leaves, counted, spent = roots.shape[0], 0, 0, 0, 0.0
    for r in range(size):
        front[r] = np.uint64(roots[r])
    while True:
        num_kept, num_leaves = _expand(nodes, places, grid, bound, size, front, kept, num_kept, leaves, num_leaves)
        for i in range(counted, num_leaves):
            spent += _price(leaves[i], unit, leaf_items, mass)
        counted = num_leaves
        if spent >= budget or num_kept == 0:
            break
        bound = min(bound + STEP, MAX_COST)
        last, size, rest = np.uint64(bound) << COST | NUMBER, 0, 0
        for i in range(num_kept):
            entry = kept[i]
            front[size], kept[rest] = entry, entry
            size += entry <= last
            rest += entry > last
        num_kept = rest
    last, room = bound, np.inf
    if spent >= budget:
        last, room = _affordable(leaves, num_leaves, bound, unit, budget, leaf_items, mass, per_cost)
    return _take(leaves, num_leaves, last, room, unit, leaf_items, mass, out), bound


@njit(nogil=True, cache=True)
def _take(leaves, num_leaves, last, room, unit, leaf_items, mass, out):
    """All leaves below the cost `last`, and those at it, smallest number first, until `room` is spent."""
    taken, ties, last = 0, 0, np.uint64(last)
    for i in range(num_leaves):
        if leaves[i] >> COST < last:
            out[taken] = leaves[i] & NUMBER
            taken += 1
        elif leaves[i] >> COST == last:
            leaves[ties] = leaves[i]  # never behind i
            ties += 1
    tied = np.sort(leaves[:ties])
    for i in range(ties):
        if room <= 0:
            break
        out[taken] = tied[i] & NUMBER
        taken += 1
        room -= _price(tied[i], unit, leaf_items, mass)
    return taken


@njit(nogil=True, cache=True)
def leaves_of_queries(nodes, roots, places, grid, unit, budget, leaf_items, mass):
    """Leaves of each query as CSR: indptr (Q + 1,) int64, leaves int32. places (Q, K) int64, grid (2 G,) uint64: see
    `_expand`."""
    num_queries = places.shape[0]
    work, per_cost = np.empty((3, nodes.shape[0] + 8), np.uint64), np.empty(MAX_COST + 1, np.float64)
    indptr = np.zeros(num_queries + 1, np.int64)
    leaves = np.empty(64 * num_queries + leaf_items.shape[0], np.int32)
    size, bound = 0, 8 * STEP
    for q in range(num_queries):
        if size + leaf_items.shape[0] > leaves.shape[0]:
            larger = np.empty(2 * leaves.shape[0], np.int32)
            larger[:size] = leaves[:size]
            leaves = larger
        taken, reached = cheapest_leaves(
            nodes, roots, places[q], grid, unit, budget, leaf_items, mass, bound, work, per_cost, leaves[size:]
        )
        size += taken
        bound = (7 * bound + max(reached - STEP, STEP)) // 8  # the next query's first; it changes its time only
        indptr[q + 1] = size
    return indptr, leaves[:size].copy()
