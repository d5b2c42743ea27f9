"""Random trees against slow twins: tests, leaves in exact order, and the best points of the visited leaves."""

import heapq

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from localize.index.bits import Coding
from localize.index.forest import num_words, point_flips
from localize.index.leaf_model import gaussian_of_pairs
from localize.index.random_trees import COST_UNIT, RandomTrees
from localize.kernels.codes import pack_codes
from localize.kernels.random_trees_build import PRIOR, choose_bit
from localize.kernels.vector_code import BLOCK
from localize.types import InputError, PointRows

from .conftest import random_rows, unit


def bits_of(descriptors, thresholds=0.0):
    return (np.asarray(descriptors, np.float32) > thresholds).astype(np.uint8)


def packed(bits):
    codes = np.zeros((len(bits), num_words(bits.shape[1])), np.uint64)
    pack_codes(bits.astype(np.float32), False, np.full(bits.shape[1], 0.5, np.float32), codes)
    return codes


def entropy(p):
    p = np.clip(p, 1e-300, 1 - 1e-16)
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def test_the_bit_chosen_keeps_most_information():
    rng = np.random.default_rng(0)
    bits = (rng.random((60, 100)) < rng.random(100)).astype(np.uint8)
    bits[:, 7] = 1  # tells nothing
    flips = (rng.random((40, 100)) < 0.5 * rng.random(100)).astype(np.uint8)
    point = rng.integers(40, size=60).astype(np.int32)
    has_flips = rng.random(40) < 0.7
    item = rng.permutation(60).astype(np.int32)
    rate = rng.random(100) / 2
    for _ in range(20):
        candidates = rng.permutation(100)[:12]
        seen = [p for p in point[item[10:50]] if has_flips[p]]
        p = bits[10:50][:, candidates].mean(0)
        f = (flips[seen][:, candidates].sum(0) + PRIOR * rate[candidates]) / (len(seen) + PRIOR)
        kept = entropy(p * (1 - f) + (1 - p) * f) - entropy(f)
        kept[(p == 0) | (p == 1)] = -np.inf
        arrays = packed(bits), item, 10, 50, point, packed(flips), has_flips, rate
        assert choose_bit(*arrays, candidates) == candidates[kept.argmax()]
    assert choose_bit(*arrays, np.array([7])) == -1


def test_flips_and_noise_are_those_of_each_points_first_and_last_row():
    rng = np.random.default_rng(4)
    rows = random_rows(rng, num_points=3000, dim=40, noise=0.4)
    thresholds = np.linspace(-0.1, 0.1, 40).astype(np.float32)
    coding = Coding("median", np.zeros((0, 0), np.float32), thresholds)
    flips, first, last = point_flips(rows, coding, 2, threads=2)
    seen = [np.flatnonzero(rows.point == p) for p in range(3000)]
    assert [f for f, s in zip(first, seen, strict=True) if len(s)] == [s[0] for s in seen if len(s)]
    assert [f for f, s in zip(last, seen, strict=True) if len(s)] == [s[-1] for s in seen if len(s)]
    bits = bits_of(rows.descriptors, thresholds)
    np.testing.assert_array_equal(flips, packed(bits[first] ^ bits[last]))
    twice = first != last
    mean, sigma = gaussian_of_pairs(rows, coding, first[twice], last[twice], np.arange(40), num_tests=40)
    change = (rows.descriptors[last] - rows.descriptors[first])[twice]
    assert abs(mean) < 0.01
    assert sigma == pytest.approx(change.std(), rel=0.05)
    assert gaussian_of_pairs(rows, coding, first[:0], last[:0], np.arange(40))[1] > 0  # nobody seen twice


def leaf_paths(built):
    """The (bit, value) tests above each leaf, by leaf."""
    paths, stack = {}, [(int(root), ()) for root in built.roots]
    while stack:
        node, path = stack.pop()
        value = int(built.nodes[node])
        if value < 0:
            paths[-1 - value] = path
            continue
        stack += [(value // 1024 + side, (*path, (value % 1024, side))) for side in (0, 1)]
    return paths


def items_of_leaf(built, leaf):
    at = built.first_block[leaf] * BLOCK
    return built.block_items[at : at + built.leaf_items[leaf]]


@pytest.mark.parametrize("items", ["mean", "all"])
def test_every_tree_holds_every_item_once_where_its_tests_lead(items):
    rows = random_rows(np.random.default_rng(2), num_points=300, noise=0.5)
    built = RandomTrees(items=items, num_trees=3, leaf_size=20, max_depth=5).build(rows)
    if items == "mean":
        expected = np.stack([rows.descriptors[rows.point == p].mean(0) for p in built.point])
    else:
        expected = rows.descriptors[built.point >= 0]
        np.testing.assert_array_equal(built.point, rows.point)
    expected = unit(expected)
    assert np.abs(built.scale[:, None] * built.values - expected).max() < 0.003
    paths = leaf_paths(built)
    assert sorted(paths) == list(range(len(built.leaf_items)))
    assert max(map(len, paths.values())) == 5
    held = [items_of_leaf(built, leaf) for leaf in range(len(paths))]
    assert np.bincount(np.concatenate(held)).tolist() == [3] * len(built.point)
    for leaf, path in paths.items():
        assert len(held[leaf]) <= 20 or len(path) == 5
        for bit, value in path:
            assert (bits_of(expected)[held[leaf], bit] == value).all()


def slow_leaves(built, costs, unit, budget):
    """Leaves in ascending order of cost by a heap, ties by number, until the budget is spent."""
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
        for side in (0, 1):
            heapq.heappush(heap, (cost + int(costs[2 * (value % 1024) + side]), 0, value // 1024 + side))
    return found


BUDGETS = [
    ("leaves", 1),
    ("leaves", 13),
    ("leaves", 1000),
    ("items", 150),
    ("items", 1e6),
    ("mass", 0.3),
    ("mass", 0.99),
]


@pytest.mark.parametrize("order", ["gaussian", "abs_value"])
@pytest.mark.parametrize(("unit", "budget"), BUDGETS)
def test_the_leaves_visited_are_exactly_the_most_probable(order, unit, budget):
    rng = np.random.default_rng(3)
    rows = random_rows(rng, num_points=400, noise=0.5)
    index = RandomTrees(num_trees=3, leaf_size=8, budget=budget, budget_unit=unit, order=order)
    built = index.build(rows)
    queries = (rng.normal(size=(25, 32)) / 5).astype("f")
    queries[0] = built.thresholds  # on every test: all leaves of one depth tie
    indptr, leaves = index.leaves(built, queries)
    costs = index.costs(built, queries)
    for q in range(len(queries)):
        assert sorted(leaves[indptr[q] : indptr[q + 1]]) == sorted(slow_leaves(built, costs[q], unit, budget))


def test_costs_are_probabilities():
    rows = random_rows(np.random.default_rng(1), num_points=50)
    values = np.random.default_rng(2).normal(size=(20, 32)).astype("f") / 4
    for order, probability in (("gaussian", norm.cdf), ("abs_value", expit)):
        index = RandomTrees(order=order, noise=1.5)
        built = index.build(rows)
        costs = index.costs(built, values) / COST_UNIT
        z = (values - built.thresholds + built.mean) / (1.5 * built.sigma)
        likely = np.abs(z) < 2
        np.testing.assert_allclose(np.exp(-costs[:, 1::2])[likely], probability(z)[likely], atol=0.012)
        np.testing.assert_allclose((np.exp(-costs[:, 0::2]) + np.exp(-costs[:, 1::2]))[likely], 1, atol=0.02)
        assert costs.max() <= 16


def slow_nearest(index, built, descriptors):
    """Best similarity, its point and the best of another point among the codes nearest in Hamming distance."""
    indptr, leaves = index.leaves(built, descriptors)
    stored = built.scale[:, None] * built.values.astype(np.float32)
    rows = []
    for q, query in enumerate(descriptors):
        codes = [(built.codes_bits[i] != bits_of(query, built.thresholds)).sum() for i in range(len(stored))]
        order = [i for leaf in sorted(leaves[indptr[q] : indptr[q + 1]]) for i in items_of_leaf(built, leaf)]
        near = sorted(order, key=lambda i: codes[i])[: index.num_scored]  # sorted is stable: the first of equal ones
        best = {}
        for i in set(near):
            best[built.point[i]] = max(best.get(built.point[i], -np.inf), float(stored[i] @ query))
        ranked = sorted((-s, p) for p, s in best.items())
        rows.append((-ranked[0][0], ranked[0][1], -ranked[1][0] if len(ranked) > 1 else -np.inf))
    return map(np.array, zip(*rows, strict=True))


class WithBits:
    """A built index and the bits of its items, which it holds only in the order of its leaves."""

    def __init__(self, built, descriptors):
        self.__dict__.update(vars(built), codes_bits=bits_of(descriptors, built.thresholds))


@pytest.mark.parametrize("dim", [24, 200, 300, 700])  # codes of 2, 4, 8 and 16 words
@pytest.mark.parametrize("num_scored", [1, 5, 40])
def test_the_best_points_are_those_of_the_slow_scan(dim, num_scored):
    rng = np.random.default_rng(dim)
    rows = random_rows(rng, num_points=150, dim=dim, noise=0.4)
    index = RandomTrees(items="all", num_trees=2, leaf_size=30, budget=5, budget_unit="leaves", num_scored=num_scored)
    built = index.build(rows)
    queries = unit(rows.descriptors[rng.integers(len(rows.point), size=40)] + 0.1 * rng.normal(size=(40, dim)))
    found = index.nearest(built, rows, queries)
    similarity, point, second = slow_nearest(index, WithBits(built, rows.descriptors), queries)
    np.testing.assert_allclose(found.similarity, similarity, atol=1e-5)
    np.testing.assert_array_equal(found.point, point)
    np.testing.assert_allclose(found.second, second, atol=1e-5)


def test_the_number_of_threads_changes_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    rows = random_rows(rng, num_points=500, noise=0.5)
    queries = (rng.normal(size=(300, 32)) / 5).astype("f")
    index = RandomTrees(leaf_size=16, budget=20, budget_unit="leaves", num_scored=3)
    answers = []
    for threads in (1, 3):
        monkeypatch.setattr("localize.index.random_trees.allowed_threads", lambda threads=threads: threads)
        monkeypatch.setattr("localize.index.random_trees.available_cores", lambda threads=threads: threads)
        built = index.build(rows)
        found = index.nearest(built, rows, queries)
        answers.append([*vars(built).values(), *vars(found).values()])
    for one, three in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, three)


def map_of(descriptors, point):
    descriptors = np.asarray(descriptors, np.float16)
    return PointRows(np.zeros((max(point) + 1, 3)), descriptors, np.asarray(point, np.int32), [0, len(point)])


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [
        (map_of([[0.6, 0.8]], [0]), [-np.inf]),
        (map_of(np.tile([[0.6, 0.8]], (9, 1)), [2] * 9), [-np.inf]),  # one point, and points that nothing shows
        (map_of(np.tile([[0.6, -0.8]], (5000, 1)), np.arange(5000)), [1.0]),  # no test can part them
    ],
    ids=["one row", "one point", "duplicates"],
)
def test_maps_without_any_choice(rows, seconds):
    index = RandomTrees(num_scored=20)
    found = index.nearest(index.build(rows), rows, rows.descriptors[:1].astype(np.float32))
    assert found.similarity == pytest.approx(1.0, abs=0.005)
    assert found.point[0] in rows.point
    assert found.second == pytest.approx(seconds, abs=0.005)


def test_a_map_whose_points_were_seen_once_is_searched_widely():
    rng = np.random.default_rng(8)
    descriptors = unit(rng.normal(size=(4000, 64)))
    rows, index = map_of(descriptors, np.arange(4000)), RandomTrees(leaf_size=32)
    queries = unit(descriptors[:500] + 0.1 * rng.normal(size=(500, 64)))
    exact = (queries @ descriptors.T).argmax(1)
    assert np.mean(index.nearest(index.build(rows), rows, queries).point == exact) > 0.9


def test_limits_are_told():
    with pytest.raises(InputError, match="at most 31"):
        RandomTrees(max_depth=40)
    with pytest.raises(InputError, match="must be below 1"):
        RandomTrees(budget=1.0, budget_unit="mass")
    with pytest.raises(InputError, match="at most 1024"):
        RandomTrees(bits="sign").build(map_of(np.ones((2, 1100)), [0, 1]))
