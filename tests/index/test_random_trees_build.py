"""How random trees are built: tests by the information they keep, items in leaves, the noise of descriptors."""

import numpy as np
import pytest

from localize.index.bits import Coding
from localize.index.forest import point_flips
from localize.index.leaf_model import gaussian_of_pairs
from localize.index.random_trees import RandomTrees
from localize.kernels.random_trees_build import PRIOR, choose_bit
from localize.types import InputError
from tests.conftest import random_rows, unit
from tests.index.slow_random_trees import bits_of, items_of_leaf, leaf_paths, map_of, packed


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


def test_limits_are_told():
    with pytest.raises(InputError, match="at most 31"):
        RandomTrees(max_depth=40)
    with pytest.raises(InputError, match="must be below 1"):
        RandomTrees(budget=1.0, budget_unit="mass")
    with pytest.raises(InputError, match="at most 1024"):
        RandomTrees(bits="sign").build(map_of(np.ones((2, 1100)), [0, 1]))
