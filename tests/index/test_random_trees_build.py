"""How random trees are built: directions that part points, tests by what they tell, items in leaves."""

import numpy as np
import pytest
from scipy.stats import norm

from localize.index.directions import MOST, STEP, along, learn_directions
from localize.index.items import index_items
from localize.index.random_trees import RandomTrees
from localize.kernels.random_trees_build import PARTS, choose_test
from localize.types import InputError, PointRows
from tests.conftest import random_rows, unit
from tests.index.slow_random_trees import items_of_leaf, leaf_paths, map_of


def entropy(p):
    p = np.clip(p, 1e-300, 1 - 1e-16)
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def noisy_map(rng, num_points, dim, signal, noise):
    """Points with deviations `signal` (dim,) and two observations each with deviations `noise` (dim,), both turned."""
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    points = rng.normal(size=(num_points, dim)) * signal
    seen = np.repeat(points, 2, axis=0) + rng.normal(size=(2 * num_points, dim)) * noise
    point = np.repeat(np.arange(num_points), 2).astype(np.int32)
    rows = PointRows(np.zeros((num_points, 3)), (seen @ turn).astype(np.float32), point, [0, len(point)])
    return rows, points @ turn, turn


def test_directions_are_those_in_which_points_differ_most_for_the_noise(monkeypatch):
    monkeypatch.setattr("localize.index.directions.SHRINK", 0.0)
    signal, noise = np.array([3.0, 1.0, 2.0, 1.0, 0.5]), np.array([3.0, 0.1, 1.0, 0.25, 0.6])
    rows, points, turn = noisy_map(np.random.default_rng(0), 20_000, 5, signal, noise)
    directions = learn_directions(points, rows)
    best = np.argsort(-signal / noise)
    expected = STEP * turn.T[:, best] / (np.sqrt(2) * noise[best])  # two observations differ by both their noises
    found = directions * np.sign((directions * expected).sum(0))
    np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=0.03 * np.abs(expected[:, :3]).max())
    steps = along(directions, rows.descriptors)
    assert (steps[::2].astype(float) - steps[1::2]).std(0) == pytest.approx(STEP, rel=0.03)


def test_directions_without_points_seen_twice_are_the_principal_ones():
    rng = np.random.default_rng(1)
    signal = np.geomspace(8, 0.1, 80)
    rows, _, turn = noisy_map(rng, 5000, 80, signal, np.zeros(80))
    once = PointRows(rows.points, rows.descriptors[::2], rows.point[::2], [0, 5000])
    directions = learn_directions(once.descriptors, once)
    assert directions.shape == (80, MOST)
    cosine = np.abs(turn @ directions / np.linalg.norm(directions, axis=0))
    assert cosine[:6, :4].max(0).min() > 0.5  # the next of 80 like ones may take its place
    assert cosine[20:, :4].max() < 0.2
    few = learn_directions(
        rows.descriptors[:60], PointRows(rows.points[:30], rows.descriptors[:60], rows.point[:60], [0, 60])
    )
    assert np.isfinite(few).all()
    same = map_of(np.ones((9, 3)), np.arange(9))
    assert np.isfinite(learn_directions(same.descriptors, same)).all()


def test_values_along_directions_do_not_depend_on_those_they_come_with():
    rng = np.random.default_rng(3)
    directions, rows = rng.normal(size=(70, 24)).astype("f"), rng.normal(size=(101, 70)).astype("f")
    together = along(directions, rows)
    np.testing.assert_array_equal(together, np.concatenate([along(directions, row[None]) for row in rows]))
    assert np.abs(together - rows.astype(float) @ directions).max() < 0.51
    assert along(directions, 1e6 * rows[:1]).max() == 32_000


def test_the_test_chosen_tells_most():
    rng = np.random.default_rng(0)
    steps = (60 * rng.normal(size=(60, 30)) * rng.uniform(0.2, 3, 30)).astype(np.int16)
    steps[:, 7] = 5  # tells nothing
    steps[:, 8] = 9  # nearly nothing
    steps[3, 8] = 8
    item = rng.permutation(60).astype(np.int32)
    chance = norm.cdf(np.arange(-300, 301) / 64)
    for _ in range(20):
        candidates = rng.permutation(30)[:6]
        told = {}
        for k in candidates:
            values = np.sort(steps[item[10:50], k].astype(int))
            for part in range(1, PARTS):
                threshold = values[(40 * part - 1) // PARTS]
                p, f = (values > threshold).mean(), norm.cdf(-np.abs(values - threshold) / 64).mean()
                if p:
                    told.setdefault((k, threshold), entropy(p * (1 - f) + (1 - p) * f) - entropy(f))
        assert choose_test(steps, item, 10, 50, candidates, chance) == max(told, key=told.get)
    assert choose_test(steps, item, 10, 50, np.array([7]), chance)[0] == -1


@pytest.mark.parametrize("items", ["mean", "all"])
def test_every_tree_holds_every_item_once_where_its_tests_lead(items):
    rows = random_rows(np.random.default_rng(2), num_points=300, noise=0.5)
    built = RandomTrees(items=items, num_trees=3, leaf_size=20, max_depth=5).build(rows)
    if items == "mean":
        expected = np.stack([rows.descriptors[rows.point == p].mean(0) for p in built.point])
    else:
        expected = rows.descriptors[built.point >= 0]
        np.testing.assert_array_equal(built.point, rows.point)
    descriptors, expected = index_items(rows, items).descriptors, unit(expected)
    assert np.abs(built.scale[:, None] * built.values - expected).max() < 0.003
    paths = leaf_paths(built)
    assert sorted(paths) == list(range(len(built.leaf_items)))
    assert max(map(len, paths.values())) == 5
    held = [items_of_leaf(built, leaf) for leaf in range(len(paths))]
    assert np.bincount(np.concatenate(held)).tolist() == [3] * len(built.point)
    steps = along(built.directions, descriptors)
    for leaf, path in paths.items():
        assert len(held[leaf]) <= 20 or len(path) == 5
        assert len({direction for direction, _, _ in path}) == len(path)
        for direction, threshold, side in path:
            assert ((steps[held[leaf], direction] > threshold) == side).all()


def test_limits_are_told():
    with pytest.raises(InputError, match="at most 31"):
        RandomTrees(max_depth=40)
    with pytest.raises(InputError, match="must be below 1"):
        RandomTrees(budget=1.0, budget_unit="mass")
    with pytest.raises(InputError, match="at most 1024"):
        RandomTrees(bits="sign").build(map_of(np.ones((2, 1100)), [0, 1]))
