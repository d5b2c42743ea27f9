"""Every query against every row, by products of each precision, against the slow scan."""

import numpy as np
import pytest
import threadpoolctl
import torch

from localize.kernels import group_scan
from localize.kernels.nibble_tables import tables_of
from localize.kernels.rows import as_stored
from localize.kernels.scan import KEPT, best_columns, quantised, scan_bits, scan_float32, scan_int8
from localize.kernels.scan_bits import nearest_rows
from tests.conftest import random_rows
from tests.index.slow_random_trees import slow_sums
from tests.kernels.test_nearest import slow_best_two_points


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


@pytest.mark.parametrize(("dim", "num_points"), [(256, 900), (100, 5)])
def test_nearest_rows_by_bits_are_the_slow_ones(dim, num_points):
    """By how much signs disagree, of equal ones the first; where there are fewer rows than are kept, all of them."""
    queries, rows = crowd(np.random.default_rng(6), 50, num_points, dim)
    chosen = np.flatnonzero(rows.point % 7 > 0).astype(np.int32)
    stored = as_stored(rows.descriptors.astype(np.float16))
    found = nearest_rows(queries, *stored, chosen, kept=24)
    tables = tables_of(queries, np.zeros(dim, np.float32), 4 if dim == 256 else 2)
    bits = rows.descriptors[chosen].astype(np.float16) > 0
    for table, mine in zip(tables, found, strict=True):
        expected = np.argsort(slow_sums(bits, table), kind="stable")[:24]
        assert sorted(mine[mine >= 0]) == sorted(expected)
    point = rows.point[chosen]
    near = rows.descriptors[chosen[:50]].astype("f")
    near += np.random.default_rng(1).normal(size=near.shape).astype("f") / np.sqrt(2 * dim)
    exact, short = (scan(near, *stored, chosen, point) for scan in (scan_float32, scan_bits))
    assert (exact[1] == short[1]).mean() > 0.95
    same = exact[1] == short[1]
    np.testing.assert_allclose(short[0][same], exact[0][same], atol=1e-5)


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
