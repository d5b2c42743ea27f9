"""Prior leaves, prior frames and their union, and the matches that pass, against the slow ones."""

import dataclasses
import types

import numpy as np
import pytest

from localize.index.rescore import nearest_of_rows
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.search import frames
from localize.search.prior import Frames, Leaves, Union, merged, rows_in_frames
from localize.stages import nearest_points
from localize.types import FRAME, LEAF, Features, Nearest
from tests.conftest import random_features, random_rows, unit


def test_rows_in_frames():
    rows = random_rows(np.random.default_rng(5), num_points=40)
    a, b = rows.image_indptr[1], rows.image_indptr[2]
    np.testing.assert_array_equal(rows_in_frames(rows, [1, -1, 1]), np.arange(a, b))
    assert len(rows_in_frames(rows, [-1])) == 0
    seen = set(rows.point[a:b])
    assert rows_in_frames(rows, [1], "all_obs").tolist() == [r for r, p in enumerate(rows.point) if p in seen]


def test_large_products_are_taken_in_int8_where_the_processor_can(monkeypatch):
    """As seen by the similarity: products of int8 alone choose the row, the others compare all of them."""
    rows = random_rows(np.random.default_rng(5), num_points=100, num_images=1)
    queries = np.tile(rows.descriptors, (4, 1))
    used = []
    monkeypatch.setattr(frames, "SMALL", len(queries) * len(rows.point))
    for name in ("scan_float32", "scan_int8"):
        scan = getattr(frames, name)
        monkeypatch.setattr(frames, name, lambda *a, scan=scan, name=name: used.append(name) or scan(*a))
    for can in (True, False):
        monkeypatch.setattr(frames, "computes_int8", lambda can=can: can)
        for part in (queries, queries[1:]):
            Frames().nearest([0], rows, part)
    assert used == ["scan_int8", "scan_float32", "scan_float32", "scan_float32"]


def slow_ratio_matches(query, leaves, frames, rows, ratio=0.9, single=0.8):
    """The specification, one keypoint after the other: (keypoint, point, distance, source, distance / limit)."""
    accepted = []
    for i, q in enumerate(query.descriptors.astype(float)):
        candidates = sorted(set(leaves[i]) | set(frames))
        if not candidates:
            continue
        distance = np.sqrt(np.maximum(0, 2 - 2 * rows.descriptors[candidates] @ q))  # halves are unit length nearly
        order = np.argsort(distance, kind="stable")
        best = rows.point[candidates[order[0]]]
        others = [distance[k] for k in order if rows.point[candidates[k]] != best]
        d1, limit = distance[order[0]], ratio * others[0] if others else single
        if d1 < limit:
            source = _found(LEAF, leaves[i], rows, q, best) | _found(FRAME, frames, rows, q, best)
            accepted.append((i, best, d1, source, d1 / limit))
    nearest = {}  # of each point
    for match in sorted(accepted, key=lambda m: m[2]):
        nearest.setdefault(match[1], match)
    return sorted(nearest.values(), key=lambda m: m[4])


def _found(bit, candidates, rows, q, point):
    """The bit if the point is the best of these candidates."""
    nearest = max(candidates, key=lambda row: rows.descriptors[row] @ q, default=None)
    return bit if nearest is not None and rows.point[nearest] == point else 0


@pytest.mark.parametrize("search", [Union(), Union(precision="int8"), Leaves(), Frames()], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_ratio_matches_are_the_slow_ones(search, dtype):
    rng = np.random.default_rng(6)
    rows = random_rows(rng, num_points=120)
    rows = dataclasses.replace(rows, descriptors=rows.descriptors.astype(dtype))
    true = rng.integers(len(rows.point), size=60)
    descriptors = unit(rows.descriptors[true] + 0.08 * rng.normal(size=(60, 32)))
    query = Features(rng.uniform(0, 99, (60, 2)), descriptors, np.ones(60))
    some = [rng.permutation(len(rows.point))[: rng.integers(0, 60)].tolist() for _ in true]
    leaves = [list(dict.fromkeys([*s, int(t)])) for s, t in zip(some, true, strict=True)]
    leaves[0] = []
    shared = rows_in_frames(rows, [0, 2])
    csr = np.cumsum([0, *map(len, leaves)]), np.concatenate(leaves).astype(np.int32)
    in_leaves = nearest_of_rows(rows, descriptors, *csr)
    index = types.SimpleNamespace(nearest=lambda *_: in_leaves)
    matches = RatioTest().match(query, nearest_points(descriptors, rows, index, [0, 2, -1], search), rows)
    use_leaves = leaves if search.uses_leaves else [[]] * 60
    use_frames = shared.tolist() if search.uses_frames else []
    slow = slow_ratio_matches(query, use_leaves, use_frames, rows)
    assert len(slow) > 10
    assert matches.keypoint.tolist() == [m[0] for m in slow]
    assert matches.point.tolist() == [m[1] for m in slow]
    assert matches.source.tolist() == [m[3] for m in slow]
    np.testing.assert_allclose(matches.distance, [m[2] for m in slow], atol=2e-3)
    np.testing.assert_array_equal(matches.xyz, rows.points[matches.point])
    assert matches.candidates_per_keypoint == pytest.approx(np.mean([len(a) + len(use_frames) for a in use_leaves]))


def test_the_best_two_of_both_sources():
    """Both tables are (similarity, point, second); the last one is what both give together, and who found it."""
    none, inf = -1, np.inf
    leaves = [(0.9, 4, 0.8), (0.9, 4, 0.8), (0.7, 4, 0.1), (0.9, 4, 0.2), (0.9, 4, -inf), (-inf, none, -inf)] * 2
    frames = [(0.7, 4, 0.6), (0.7, 5, 0.6), (0.9, 5, 0.7), (0.9, 3, 0.2), (-inf, none, -inf), (-inf, none, -inf)] * 2
    both = [
        (0.9, 4, 0.8, 3),
        (0.9, 4, 0.8, 1),
        (0.9, 5, 0.7, 2),
        (0.9, 3, 0.9, 2),
        (0.9, 4, -inf, 1),
        (-inf, none, -inf, 0),
    ]
    a, b = (
        Nearest(*map(np.array, zip(*t, strict=True)), [bit * (p >= 0) for _, p, _ in t], 10 * bit)
        for bit, t in ((LEAF, leaves), (FRAME, frames))
    )
    for first, second in ((a, b), (b, a)):
        found = merged(first, second)
        columns = found.similarity, found.point, found.second, found.source
        np.testing.assert_allclose(np.column_stack(columns), both * 2, rtol=1e-6)
        assert found.compared == 30


def test_nothing_to_compare_with_no_matches():
    rows = random_rows(np.random.default_rng(7))
    query = random_features(np.random.default_rng(8), 4, 32)
    for search in (Frames(), Frames(rows="all_obs")):
        assert len(RatioTest().match(query, search.nearest([-1, -1], rows, query.descriptors), rows)) == 0
        nobody = Features(np.zeros((0, 2)), np.zeros((0, 32)), np.zeros(0))
        nearest = search.nearest([0], rows, nobody.descriptors.astype(np.float32))
        assert len(RatioTest().match(nobody, nearest, rows)) == 0


def test_mutual_nearest_is_the_slow_one():
    rng = np.random.default_rng(9)
    first = random_features(rng, 70, 16)
    noisy = unit(first.descriptors[rng.permutation(70)[:50]] + 0.15 * rng.normal(size=(50, 16)))
    second = Features(np.zeros((50, 2)), noisy, np.ones(50))
    distance = np.linalg.norm(first.descriptors[:, None] - noisy[None], axis=2)
    expected = []
    for i in range(70):
        j = np.argmin(distance[i])
        d1, d2 = np.sort(distance[i])[:2]
        if np.argmin(distance[:, j]) == i and d1 < 0.8 * d2 and d1 <= 1.0:
            expected.append([i, j])
    assert len(expected) > 20
    assert MutualNearest().match(first, second).rows.tolist() == expected
    empty = Features(np.zeros((0, 2)), np.zeros((0, 16)), np.zeros(0))
    assert len(MutualNearest().match(first, empty).rows) == len(MutualNearest().match(empty, first).rows) == 0
