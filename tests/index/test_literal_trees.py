"""The trees of the paper against slow, readable twins."""

import heapq

import numpy as np
import pytest

from localize.index.leaf_model import branch_costs
from localize.index.literal_trees import LiteralTrees
from localize.kernels.literal_trees_build import build_tree, choose_test
from localize.kernels.splitmix64 import random_below
from localize.types import PointRows
from tests.conftest import random_rows


def slow_choice(bits, point, window, candidates, tolerance):
    """The specification in plain numpy."""
    errors, balances = [], []
    for d in candidates:
        values = bits[window, d].astype(int)
        disagree = []
        for p in np.unique(point[window]):
            v = values[point[window] == p]
            n, c = len(v), v.sum()
            if n >= 2:
                disagree.append(2 * c * (n - c) / (n * (n - 1)))
        errors.append(np.mean(disagree) if disagree else np.inf)
        balances.append(abs(values.mean() - 0.5))
    errors, balances = np.array(errors), np.array(balances)
    allowed = (balances <= tolerance) & np.isfinite(errors)
    return candidates[np.argmin(np.where(allowed, errors, np.inf)) if allowed.any() else np.argmin(balances)]


def slow_tree(bits, point, order, max_depth, min_split, num_candidates, window, tolerance, seed):
    """The tree as nested tuples (bit, zero side, one side) or an array of rows."""
    state = np.array([seed], np.uint64)
    levels = [(tuple(order), (), 0, [])]  # rows, path, depth, place to put the result
    root = levels[0][3]
    while levels:
        rows, path, depth, place = levels.pop(0)
        rows = np.array(rows)
        free = [d for d in range(bits.shape[1]) if d not in path]
        if len(set(point[rows])) == 1 or depth == max_depth or len(rows) < min_split or not free:
            place.append(rows)
            continue
        num = min(num_candidates, len(free))
        for k in range(num):
            j = k + random_below(state, len(free) - k)
            free[k], free[j] = free[j], free[k]
        start = random_below(state, len(rows) - window + 1) if len(rows) > window else 0
        bit = slow_choice(bits, point, rows[start : start + window], free[:num], tolerance)
        node = [int(bit), [], []]
        place.append(node)
        for side in (0, 1):
            part = rows[bits[rows, bit] == side]
            if len(part):
                levels.append((tuple(part), (*path, bit), depth + 1, node[1 + side]))
    return root[0]


def same_tree(node, slow, tree, order):
    bit, left, right, lo, hi = tree
    if bit[node] < 0:
        np.testing.assert_array_equal(order[lo[node] : hi[node]], slow)
        return
    assert bit[node] == slow[0]
    for child, part in ((left[node], slow[1]), (right[node], slow[2])):
        assert (child >= 0) == bool(part)
        if child >= 0:
            same_tree(child, part[0], tree, order)


@pytest.mark.parametrize("settings", [(23, 2, 8, 20_000), (4, 2, 8, 20_000), (23, 10, 32, 20_000), (23, 2, 8, 50)])
def test_tree_is_the_slow_tree(settings):
    max_depth, min_split, num_candidates, window = settings
    rows = random_rows(np.random.default_rng(2), num_points=80, dim=24, noise=0.6)
    bits = (rows.descriptors > 0).astype(np.uint8)
    order = np.argsort(rows.point, kind="stable").astype(np.int32)
    slow = slow_tree(bits, rows.point, order.copy(), max_depth, min_split, num_candidates, window, 0.1, 7)
    packed = np.packbits(bits, axis=1, bitorder="little")
    tree = build_tree(packed, bits.shape[1], rows.point, order, max_depth, min_split, num_candidates, window, 0.1, 7)
    same_tree(0, slow, tree, order)


def test_choice_without_matching_observations_is_the_best_balanced():
    bits = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 1], [1, 0, 1]], np.uint8)
    point, order = np.arange(4), np.arange(4, dtype=np.int32)
    packed = np.packbits(bits, axis=1, bitorder="little")
    assert choose_test(packed, point, order, 0, 4, np.array([0, 1, 2]), 0.1) == 1


def slow_leaves(trees, root, zero, one, budget):
    """Leaves by ascending cost, ties by node id."""
    heap, leaves = [(np.float32(0), int(root))], []
    while heap and len(leaves) < budget:
        cost, node = heapq.heappop(heap)
        bit = trees.bit[node]
        if bit < 0:
            leaves.append(node)
            continue
        for child, step in ((trees.left[node], zero[bit]), (trees.right[node], one[bit])):
            if child >= 0:
                heapq.heappush(heap, (np.float32(cost + step), int(child)))
    return leaves


@pytest.mark.parametrize("order", ["gaussian", "abs_value"])
@pytest.mark.parametrize("scope", ["per_tree", "total"])
def test_literal_trees_visit_the_most_probable_leaves(order, scope):
    rng = np.random.default_rng(3)
    rows = random_rows(rng, num_points=150, noise=0.5)
    index = LiteralTrees(num_trees=3, num_leaves=7, scope=scope, order=order)
    trees = index.build(rows)
    queries = rng.normal(size=(12, 32)).astype("f") / 5
    queries[0] = trees.thresholds  # exactly on every test: all leaves of one depth tie
    indptr, found = index.best_rows(trees, queries)
    zero, one = branch_costs(queries, trees.thresholds, order, trees.mean, trees.sigma)
    for q in range(12):
        expected = []
        if scope == "per_tree":
            leaves = [leaf for root in trees.roots for leaf in slow_leaves(trees, root, zero[q], one[q], 7)]
        else:
            heaps = [(leaf, root) for root in trees.roots for leaf in slow_leaves(trees, root, zero[q], one[q], 7)]
            costs = {leaf: path_cost(trees, root, leaf, zero[q], one[q]) for leaf, root in heaps}
            leaves = sorted(costs, key=lambda leaf: (costs[leaf], leaf))[:7]
        for leaf in leaves:
            expected += list(trees.order[trees.lo[leaf] : trees.hi[leaf]])
        got = found[indptr[q] : indptr[q + 1]]
        assert len(set(got)) == len(got)
        assert set(got) == set(expected)


def path_cost(trees, node, leaf, zero, one):
    cost = np.float32(0)
    while node != leaf:
        bit = trees.bit[node]
        left = trees.left[node]
        inside = left >= 0 and trees.lo[left] <= trees.lo[leaf] and trees.hi[leaf] <= trees.hi[left]
        cost += zero[bit] if inside else one[bit]
        node = left if inside else trees.right[node]
    return cost


def made_rows(descriptors, point):
    descriptors = np.asarray(descriptors, np.float32)
    point = np.asarray(point)
    return PointRows(np.zeros((point.max() + 1, 3)), descriptors, point, [0, len(point)])


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (made_rows([[0.6, 0.8]], [0]), "a single row"),
        (made_rows(np.random.default_rng(0).normal(size=(9, 4)), np.zeros(9, int)), "one point only"),
        (made_rows(np.tile([[0.6, 0.8]], (50, 1)), np.arange(50)), "duplicates that no test can part"),
        (made_rows(np.random.default_rng(0).normal(size=(40, 64)), np.arange(40)), "every point seen once"),
    ],
)
def test_trees_hold_every_row_once(rows, what):
    index = LiteralTrees(num_trees=2, num_leaves=10_000)  # more leaves than there are
    trees = index.build(rows)
    for tree in range(2):
        m = len(rows.point)
        assert sorted(trees.order[tree * m : (tree + 1) * m]) == list(range(m)), what
    queries = np.vstack([np.zeros(rows.descriptors.shape[1]), rows.descriptors[0]]).astype("f")
    indptr, _ = index.best_rows(trees, queries)
    np.testing.assert_array_equal(np.diff(indptr), len(rows.point))


def test_same_seed_same_trees_other_seed_other_trees():
    rows = random_rows(np.random.default_rng(4))
    first, again, other = (LiteralTrees(seed=s).build(rows) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.order, again.order)
    np.testing.assert_array_equal(first.bit, again.bit)
    assert not np.array_equal(first.order, other.order)
