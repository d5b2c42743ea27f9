"""Descriptors read from where they lie, and in 8 bits."""

import numpy as np
import pytest

from localize.kernels.rows import as_stored, quantise_rows, read_rows
from tests.conftest import random_rows


def test_every_float16_is_read_exactly():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)].reshape(-1, 2)
    values = np.empty(every.shape, "f")
    read_rows(*as_stored(every), np.arange(len(every)), values)
    np.testing.assert_array_equal(values.view(np.uint32), every.astype("f").view(np.uint32))  # -0 too


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_quantised_rows(dtype):
    d = random_rows(np.random.default_rng(2), dim=24).descriptors.astype(dtype)
    d[5] = 0
    rows = np.array([7, 5, 0, 7])
    values, scale = np.empty((4, 24), np.int8), np.empty(4, "f")
    quantise_rows(*as_stored(d), rows, values, scale)
    largest = np.abs(d[rows].astype("f")).max(1)
    np.testing.assert_allclose(scale, largest / 127)
    assert np.abs(values).max(1).tolist() == [127, 0, 127, 127]
    assert np.all(np.abs(values * scale[:, None] - d[rows]) <= 0.501 * scale[:, None])
