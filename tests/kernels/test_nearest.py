"""The best two columns and points of similarities, against slow twins."""

import numpy as np
import pytest

from localize.kernels.nearest import best_two_columns, best_two_points_dense, best_two_points_sparse
from localize.kernels.rows import as_stored
from tests.conftest import random_rows


def slow_best_two_points(similarity, point):
    """Best, its point (the smallest of equal ones), and the best over another point."""
    if not len(similarity):
        return -np.inf, -1, -np.inf
    best = min(point[similarity == similarity.max()])
    others = similarity[point != best]
    return similarity.max(), best, others.max() if len(others) else -np.inf


def nothing_yet(n):
    return np.full(n, -np.inf, "f"), np.full(n, -1, np.int32), np.full(n, -np.inf, "f")


def test_best_two_columns():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(37, 8)).astype("f"), rng.normal(size=(23, 8)).astype("f")
    whole = a @ b.T
    best, second, column = np.empty(37, "f"), np.empty(37, "f"), np.empty(37, np.int32)
    column_best, column_row = np.full(23, -np.inf, "f"), np.full(23, -1, np.int32)
    for at in (0, 10, 20, 30):  # in blocks, as it is used
        rows = slice(at, at + 10)
        best_two_columns(whole[rows], at, best[rows], column[rows], second[rows], column_best, column_row)
    ordered = np.sort(whole, axis=1)
    np.testing.assert_array_equal(best, ordered[:, -1])
    np.testing.assert_array_equal(second, ordered[:, -2])
    np.testing.assert_array_equal(column, whole.argmax(1))
    np.testing.assert_array_equal(column_row, whole.argmax(0))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_best_two_points_dense_and_sparse(dtype):
    rng = np.random.default_rng(1)
    rows = random_rows(rng, num_points=30)
    d, point = rows.descriptors.astype(dtype), rows.point
    d[:3, :3] = [[0, -0.0, 1e-7], [1e-5, -3e-6, 6e-8], [1, -1, 2]]  # also what float16 holds without its first bit
    queries = rng.normal(size=(20, d.shape[1])).astype("f")
    picks = [rng.permutation(len(d))[: rng.integers(0, 40)].astype(np.int32) for _ in queries]
    picks[3] = np.flatnonzero(point == point[0]).astype(np.int32)  # one point only: no second
    indptr = np.cumsum([0, *map(len, picks)])
    out, chosen = nothing_yet(20), np.concatenate(picks)
    best_two_points_sparse(queries, *as_stored(d), point[chosen], indptr, chosen, *out)
    for q, pick in enumerate(picks):
        value, best, second = slow_best_two_points(d[pick].astype("f") @ queries[q], point[pick])
        assert out[0][q] == pytest.approx(value, abs=1e-5)
        assert out[1][q] == best
        assert out[2][q] == pytest.approx(second, abs=1e-5)
    similarity = np.round(queries @ d.astype("f").T)  # many ties
    out = nothing_yet(20)
    for columns in np.array_split(np.arange(len(point)), 3):  # in blocks, as it is used
        best_two_points_dense(similarity[:, columns], point[columns], *out)
    for q in range(20):
        assert (out[0][q], out[1][q], out[2][q]) == slow_best_two_points(similarity[q], point)
