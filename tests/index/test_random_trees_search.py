"""How random trees are searched, against slow twins: leaves in exact order, the best points of the visited ones."""

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from localize.index.directions import STEP, along
from localize.index.items import index_items
from localize.index.random_trees import COST_UNIT, RandomTrees
from tests.conftest import random_rows, unit
from tests.index.slow_random_trees import WithBits, map_of, slow_leaves, slow_nearest

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
    queries[0] *= 1e3  # beyond all thresholds: most leaves tie
    indptr, leaves = index.leaves(built, queries)
    steps = along(built.directions, queries)
    for q in range(len(queries)):
        expected = slow_leaves(built, index.costs(), steps[q], unit, budget)
        assert sorted(leaves[indptr[q] : indptr[q + 1]]) == sorted(expected)


def test_costs_are_probabilities():
    for order, probability in (("gaussian", norm.cdf), ("abs_value", expit)):
        costs = RandomTrees(order=order, noise=1.5).costs() / COST_UNIT
        z = (np.arange(len(costs)) - len(costs) // 2) / (STEP * 1.5)
        likely = np.abs(z) < 2
        np.testing.assert_allclose(np.exp(-costs[:, 1])[likely], probability(z)[likely], atol=0.012)
        np.testing.assert_allclose(np.exp(-costs[:, 0])[likely], probability(-z)[likely], atol=0.012)
        assert costs[[0, -1], [1, 0]].tolist() == [16, 16]
        assert costs.max() == 16


@pytest.mark.parametrize("dim", [24, 200, 300, 700])  # codes of 2, 4, 8 and 16 words
@pytest.mark.parametrize(("num_scored", "items"), [(1, "all"), (5, "mean"), (40, "all"), (40, "mean")])
def test_the_best_points_are_those_of_the_slow_scan(dim, num_scored, items):
    rng = np.random.default_rng(dim)
    rows = random_rows(rng, num_points=150, dim=dim, noise=0.4)
    index = RandomTrees(items=items, num_trees=2, leaf_size=30, budget=5, budget_unit="leaves", num_scored=num_scored)
    built = index.build(rows)
    queries = unit(rows.descriptors[rng.integers(len(rows.point), size=40)] + 0.1 * rng.normal(size=(40, dim)))
    found = index.nearest(built, rows, queries)
    room = num_scored * math.ceil(len(built.point) / 150)
    similarity, point, second = slow_nearest(
        index, WithBits(built, index_items(rows, items).descriptors), queries, room
    )
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


def test_another_point_is_found_behind_all_observations_of_the_nearest():
    rng = np.random.default_rng(9)
    points = unit(rng.normal(size=(300, 64)))
    rows = map_of(unit(np.repeat(points, 8, axis=0) + 0.02 * rng.normal(size=(2400, 64))), np.repeat(np.arange(300), 8))
    for items in ("mean", "all"):
        index = RandomTrees(items=items, num_scored=12)
        found = index.nearest(index.build(rows), rows, points.astype(np.float32))
        assert (found.point == np.arange(300)).all()
        assert np.isfinite(found.second).mean() > 0.97
