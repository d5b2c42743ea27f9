"""The model of a leaf's probability."""

import numpy as np
import pytest
from scipy.stats import norm

from localize.index.bits import Coding
from localize.index.leaf_model import branch_costs, estimate_gaussian


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
