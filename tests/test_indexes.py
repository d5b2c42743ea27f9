"""The contract of indexes, over all of them, the exact one, and the model of a leaf's probability."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import norm

from localize.index.bits import Coding
from localize.index.exact import Exact
from localize.index.faiss_index import FaissFlat, FaissHnsw, FaissIvf
from localize.index.leaf_model import branch_costs, estimate_gaussian
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.types import LEAF, InputError

from .conftest import random_rows, unit

INDEXES = [
    RandomTrees(items="all", leaf_size=16, budget=20, budget_unit="leaves"),
    LiteralTrees(num_leaves=20),
    Exact(items="all", precision="float32"),
    Exact(items="all", precision="int8"),
    Exact(items="all", precision="float16", device="cpu"),
    FaissFlat("all", 5),
    FaissHnsw(items="all", num_neighbours=5),
    FaissIvf(items="all", num_lists=4, num_probes=4),
]


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_indexes_find_the_nearest_points(index):
    rng = np.random.default_rng(2)
    rows = random_rows(rng, num_points=300)
    built = index.build(rows)
    true = rng.integers(len(rows.point), size=100)
    queries = unit(rows.descriptors[true] + 0.05 * rng.normal(size=(100, 32)))
    found = index.nearest(built, rows, queries)
    similarity = queries @ rows.descriptors.T
    assert np.mean(found.point == rows.point[true]) > 0.97
    right = found.point == rows.point[similarity.argmax(1)]
    assert right.mean() > 0.97
    assert np.abs(found.similarity - similarity.max(1))[right].max() < 0.02
    others = np.where(rows.point == found.point[:, None], -np.inf, similarity).max(1)
    assert np.all(found.second <= others + 0.02)
    assert (found.source == LEAF).all()
    assert found.compared >= 1
    nobody = index.nearest(built, rows, queries[:0])
    assert len(nobody) == nobody.compared == 0


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_exact_finds_the_best_two_of_the_means(precision):
    rng = np.random.default_rng(3)
    rows = random_rows(rng, num_points=150)
    rows = dataclasses.replace(rows, descriptors=rows.descriptors.astype(np.float16))
    index = Exact(precision=precision, device="cpu")
    built = index.build(rows)
    means = unit(np.array([rows.descriptors[rows.point == p].astype(float).mean(0) for p in range(150)]))
    queries = unit(means[rng.integers(150, size=70)] + 0.1 * rng.normal(size=(70, 32)))
    found = index.nearest(built, rows, queries)
    slow = np.sort(queries @ means.T)
    np.testing.assert_array_equal(found.point, (queries @ means.T).argmax(1))
    np.testing.assert_allclose(found.similarity, slow[:, -1], atol=1e-3)
    np.testing.assert_allclose(found.second, slow[:, -2], atol=1e-3)
    assert found.compared == 150
    assert not len(Exact(items="all").build(rows).point)  # the map has them


def test_exact_says_what_cannot_be():
    with pytest.raises(InputError, match="is for the processor"):
        Exact(device="cuda", precision="int8")
    assert Exact().preflight() == []
    if not torch.cuda.is_available():
        assert "sees no GPU" in Exact(device="cuda").preflight()[0]


def test_gaussian_costs_are_probabilities_that_sum_to_one():
    values = np.random.default_rng(3).normal(size=(5, 7)).astype("f")
    thresholds = np.linspace(-0.3, 0.3, 7).astype("f")
    zero, one = branch_costs(values, thresholds, "gaussian", 0.05, 0.4)
    np.testing.assert_allclose(np.exp(-zero) + np.exp(-one), 1, atol=1e-6)
    np.testing.assert_allclose(np.exp(-one), norm.cdf((values - thresholds + 0.05) / 0.4), atol=1e-5)
    far = branch_costs(np.array([[40.0]], "f"), np.zeros(1, "f"), "gaussian", 0.0, 1.0)
    assert np.isfinite(far).all()  # no log of 0 far out


def test_abs_value_costs_charge_only_the_other_branch():
    zero, one = branch_costs(np.array([[0.3, -0.2, 0.0]], "f"), np.zeros(3, "f"), "abs_value", 0, 1)
    np.testing.assert_allclose(zero, [[0.3, 0, 0]])
    np.testing.assert_allclose(one, [[0, 0.2, 0]], atol=1e-7)


def test_leaf_model_finds_the_noise_of_matching_observations():
    rng = np.random.default_rng(4)
    point = np.repeat(np.arange(2000), 3)
    d = rng.normal(size=(2000, 6))[point] + 0.3 * rng.normal(size=(6000, 6))
    signs = Coding("sign", np.zeros((0, 0), np.float32), np.zeros(6, np.float32))
    mean, sigma = estimate_gaussian(d, signs, point, np.arange(6))
    assert mean == pytest.approx(0, abs=0.01)
    assert sigma == pytest.approx(0.3 * np.sqrt(2), rel=0.05)
    assert estimate_gaussian(d[:5], signs, np.arange(5), np.arange(6))[1] > 0  # nobody seen twice
