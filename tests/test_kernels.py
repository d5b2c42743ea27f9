"""Each fast kernel against a slow, readable twin."""

import threading

import numpy as np
import pytest
import threadpoolctl
import torch

from localize.kernels import group_scan
from localize.kernels.nearest import best_two_columns, best_two_points_dense, best_two_points_sparse
from localize.kernels.rows import as_stored, quantise_rows, read_rows
from localize.kernels.scan import KEPT, best_columns, quantised, scan_float32, scan_int8
from localize.kernels.threads import allowed_threads, on_threads

from .conftest import random_rows


def slow_best_two_points(similarity, point):
    """Best, its point (the smallest of equal ones), and the best over another point."""
    if not len(similarity):
        return -np.inf, -1, -np.inf
    best = min(point[similarity == similarity.max()])
    others = similarity[point != best]
    return similarity.max(), best, others.max() if len(others) else -np.inf


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


def nothing_yet(n):
    return np.full(n, -np.inf, "f"), np.full(n, -1, np.int32), np.full(n, -np.inf, "f")


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


def crowd(rng, num_queries=1030, num_points=500, dim=48):
    """Queries near some of the rows, and more rows than a block."""
    rows = random_rows(rng, num_points=num_points, dim=dim)
    near = rows.descriptors[rng.integers(len(rows.point), size=num_queries)]
    queries = near + 0.1 * rng.normal(size=near.shape)
    return (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype("f"), rows


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("threads", [1, 2])
def test_scans_are_the_slow_one(dtype, threads):
    queries, rows = crowd(np.random.default_rng(3))
    stored = as_stored(rows.descriptors.astype(dtype))
    chosen = np.flatnonzero(rows.point % 5 > 0)  # not every row
    point = rows.point[chosen]
    assert len(chosen) > 1024
    with threadpoolctl.threadpool_limits(threads):
        exact = scan_float32(queries, *stored, chosen, point)
        short = scan_int8(queries, *stored, chosen, point)
    similarity = queries @ rows.descriptors[chosen].astype(dtype).astype("f").T
    slow = [slow_best_two_points(line, point) for line in similarity]
    for found, least in ((exact, 1), (short, 0.98)):
        best, best_point, second = found
        same = best_point == [p for _, p, _ in slow]
        assert same.mean() >= least
        np.testing.assert_allclose(best[same], np.array([b for b, _, _ in slow])[same], atol=0.01)
        np.testing.assert_allclose(second, [s for _, _, s in slow], atol=0.03)
    np.testing.assert_allclose(exact[0], [b for b, _, _ in slow], atol=1e-5)
    np.testing.assert_allclose(exact[2], [s for _, _, s in slow], atol=1e-5)


def test_best_columns_are_the_slow_ones():
    """Of each of the points most similar in int8 the best column, in order."""
    queries, rows = crowd(np.random.default_rng(4), num_queries=40)
    everything = np.arange(len(rows.point))
    values, scale = quantised(*as_stored(rows.descriptors), everything)
    ours, _ = quantised(*as_stored(queries), np.arange(len(queries)))
    sums = (ours.astype(int) @ values.astype(int).T).astype("f") * scale
    for line, found in zip(sums, best_columns(queries, values, scale, rows.point), strict=True):
        expected, seen = [], set()
        for column in np.argsort(-line, kind="stable"):
            if rows.point[column] not in seen and len(seen) < KEPT:
                seen.add(rows.point[column])
                expected.append(column)
        assert found.tolist() == expected
    two = rows.point < 2  # fewer points than are kept
    found = best_columns(queries, values[two], scale[two], rows.point[two])
    assert ((found >= 0).sum(1) == 2).all()
    chosen = np.flatnonzero(two)
    again = scan_int8(queries, *as_stored(rows.descriptors), chosen, rows.point[chosen])
    exact = scan_float32(queries, *as_stored(rows.descriptors), chosen, rows.point[chosen])
    np.testing.assert_allclose(again[0], exact[0], atol=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_groups_are_the_slow_scan(dtype, monkeypatch):
    """Over several blocks, and where one point fills more than a group; zeros fill the last one up and are no item."""
    monkeypatch.setattr(group_scan, "PRODUCT", 3 * 64 * 30)
    monkeypatch.setattr(group_scan, "MAXIMA", 30 * 20)
    monkeypatch.setattr(group_scan, "BEST", 4)
    queries, rows = crowd(np.random.default_rng(5), num_queries=75, num_points=300)
    point, stored = rows.point.copy(), rows.descriptors.astype(np.float16)
    stored[::10] = queries[2] + 0.01 * stored[::10]
    point[::10] = 7
    queries[0] = -stored.mean(0)  # below 0 nearly everywhere
    queries[1] = stored[[3, 901]] = np.eye(48)[5]  # two points tie
    assert point[3] != point[901]
    held = group_scan.hold(stored, point, "cpu", dtype)
    assert held.num_groups == -(-len(point) // 64) > 6
    similarity = queries @ stored.astype("f").T
    slow = [slow_best_two_points(line, point) for line in similarity]
    for values, column in zip(group_scan.scan_groups(held, queries), zip(*slow, strict=True), strict=True):
        np.testing.assert_allclose(values, column, atol=1e-6)
    few = group_scan.hold(stored[:3], np.array([4, 4, 4], np.int32), "cpu", dtype)
    best, best_point, second = group_scan.scan_groups(few, -stored[:3].astype("f"))
    assert best_point.tolist() == [4, 4, 4]
    assert (best > -1.1).all()
    assert (second == -np.inf).all()


def test_work_is_split_over_the_threads_that_are_allowed():
    """A stage's limit is kept; BLAS has one thread in each of ours, and its own number afterwards."""
    with threadpoolctl.threadpool_limits(3):
        before = allowed_threads()
        inside = on_threads(lambda _: (threading.get_ident(), allowed_threads()), range(20))
        assert allowed_threads() == before
    assert before == 3
    assert {n for _, n in inside} == {1}
    assert threading.get_ident() not in {thread for thread, _ in inside}
    with threadpoolctl.threadpool_limits(1):
        assert on_threads(lambda _: threading.get_ident(), [1, 2]) == 2 * [threading.get_ident()]
