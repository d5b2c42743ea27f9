"""Random trees again, slowly: bits, the tests above each leaf, leaves in order, the best points of some leaves."""

import heapq

import numpy as np

from localize.index.forest import num_words
from localize.index.random_trees import COST_UNIT
from localize.kernels.nibble_tables import FAR, tables_of
from localize.kernels.random_trees_build import DIRECTION, THRESHOLD
from localize.kernels.random_trees_scan import CLEAR, FEW
from localize.kernels.vector_code import BLOCK
from localize.types import PointRows


def bits_of(descriptors, thresholds=0.0):
    return (np.asarray(descriptors, np.float32) > thresholds).astype(np.uint8)


def test_of(node):
    """(first child, direction, threshold) of an inner node."""
    return node >> 32, node >> DIRECTION & 65535, (node & 65535) - THRESHOLD


def leaf_paths(built):
    """The (direction, threshold, side) tests above each leaf, by leaf."""
    paths, stack = {}, [(int(root), ()) for root in built.roots]
    while stack:
        node, path = stack.pop()
        value = int(built.nodes[node])
        if value < 0:
            paths[-1 - value] = path
            continue
        child, direction, threshold = test_of(value)
        stack += [(child + side, (*path, (direction, threshold, side))) for side in (0, 1)]
    return paths


def items_of_leaf(built, leaf):
    at = built.first_block[leaf] * BLOCK
    return built.block_items[at : at + built.leaf_items[leaf]]


def slow_leaves(built, costs, steps, unit, budget):
    """Leaves in ascending order of cost by a heap, ties by number, until the budget is spent.

    costs (2 R + 1, 2): see `RandomTrees.costs`; steps (K,): where the query lies.
    """
    heap, found, spent = [(0, 0, int(root)) for root in built.roots], [], 0.0
    while heap and spent < budget:
        cost, kind, node = heapq.heappop(heap)
        if kind:  # a leaf comes out after all inner nodes of its cost
            found.append(node)
            mass = np.exp(-cost / COST_UNIT) / len(built.roots)
            spent += {"leaves": 1, "items": built.leaf_items[node], "mass": mass}[unit]
            continue
        value = int(built.nodes[node])
        if value < 0:
            heapq.heappush(heap, (cost, 1, -1 - value))
            continue
        child, direction, threshold = test_of(value)
        place = min(max(int(steps[direction]) - threshold + len(costs) // 2, 0), len(costs) - 1)
        for side in (0, 1):
            heapq.heappush(heap, (cost + int(costs[place, side]), 0, child + side))
    return found


def slow_sums(bits, tables):
    """(N,) what bits (N, K) cost by tables (K' / 4, 16) of one query."""
    padded = np.zeros((len(bits), 4 * len(tables)), np.uint8)
    padded[:, : bits.shape[1]] = bits
    entry = (padded.reshape(len(bits), -1, 4) << np.arange(4)).sum(2)
    return np.minimum(np.take_along_axis(tables[None].astype(int), entry[..., None], 2).sum((1, 2)), FAR)


def slow_nearest(index, built, descriptors, room):
    """Best similarity, its point and the best of another point among the codes that disagree least."""
    indptr, leaves = index.leaves(built, descriptors)
    stored = built.scale[:, None] * built.values.astype(np.float32)
    tables = tables_of(descriptors, built.thresholds, num_words(descriptors.shape[1]))
    rows = []
    for q, query in enumerate(descriptors):
        codes = slow_sums(built.codes_bits, tables[q])
        order = [i for leaf in sorted(leaves[indptr[q] : indptr[q + 1]]) for i in items_of_leaf(built, leaf)]
        near = sorted(order, key=lambda i: codes[i])[:room]  # sorted is stable: the first of equal ones
        near = [i for k, i in enumerate(near) if i not in near[:k]]
        few = FEW if index.items == "mean" else len(near)
        near = [i for k, i in enumerate(near) if k < few or codes[i] - codes[near[0]] < CLEAR]
        best = {}
        for i in near:
            best[built.point[i]] = max(best.get(built.point[i], -np.inf), float(stored[i] @ query))
        ranked = sorted((-s, p) for p, s in best.items())
        rows.append((-ranked[0][0], ranked[0][1], -ranked[1][0] if len(ranked) > 1 else -np.inf))
    return map(np.array, zip(*rows, strict=True))


class WithBits:
    """A built index and the bits of its items, which it holds only in the order of its leaves."""

    def __init__(self, built, descriptors):
        self.__dict__.update(vars(built), codes_bits=bits_of(descriptors, built.thresholds))


def map_of(descriptors, point):
    descriptors = np.asarray(descriptors, np.float16)
    return PointRows(np.zeros((max(point) + 1, 3)), descriptors, np.asarray(point, np.int32), [0, len(point)])
