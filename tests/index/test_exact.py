"""The exact index: the best two of the means, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch

from localize.index.exact import Exact
from localize.types import InputError
from tests.conftest import random_rows, unit


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
