"""Contracts of the roles, over all components, and what is particular to each."""

import dataclasses
import pickle
import re

import numpy as np
import pytest
import torch
from scipy.stats import norm

from localize.datasets.aachen import Aachen
from localize.datasets.robotcar import RobotCar
from localize.features.sift import Sift
from localize.index.bits import Coding
from localize.index.exact import Exact
from localize.index.faiss_index import FaissFlat, FaissHnsw, FaissIvf
from localize.index.leaf_model import branch_costs, estimate_gaussian
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.index.rescore import nearest_of_rows
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.retrieval.ranking import rank
from localize.retrieval.vlad import Vlad
from localize.search import frames
from localize.search.prior import Frames, Leaves, Union, merged, rows_in_frames
from localize.types import FRAME, LEAF, Features, Image, ImageList, InputError, Nearest

from .conftest import PINHOLE, random_features, random_rows


def blobs(height=200, width=300, seed=0) -> np.ndarray:
    """A grey photo with soft blobs of several sizes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    photo = np.zeros((height, width))
    for _ in range(60):
        cx, cy, s = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1.5, 8)
        photo += rng.uniform(-1, 1) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * s * s))
    return (255 * (photo - photo.min()) / np.ptp(photo)).astype(np.uint8)


FEATURES = [Sift(), Sift(upright=True, first_octave=0), Sift(max_size_px=150)]


@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_local_features_contract(feature):
    check_local_feature(feature)


def check_local_feature(feature):
    """Repeatable, picklable, unit length, inside the photo; nothing in photos that show nothing; grey values only."""
    photo = blobs()
    first, again = feature.extract(photo), pickle.loads(pickle.dumps(feature)).extract(photo)
    assert len(first) > 20
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    np.testing.assert_array_equal(first.descriptors, again.descriptors)
    np.testing.assert_allclose(np.linalg.norm(first.descriptors.astype(float), axis=1), 1, atol=2e-3)
    assert ((first.keypoints >= 0) & (first.keypoints <= (300, 200))).all()
    for nothing in (np.zeros((5, 5), np.uint8), np.zeros((1, 1), np.uint8), np.full((80, 90), 127, np.uint8)):
        assert len(feature.extract(nothing)) == 0
    with pytest.raises(ValueError, match="SIFT takes grey values"):
        feature.extract(np.zeros((20, 20, 3), np.uint8))


@pytest.mark.parametrize("max_size_px", [1600, 160])
def test_sift_puts_pixel_centres_at_one_half(max_size_px):
    y, x = np.mgrid[:240, :320]
    photo = (255 * np.exp(-((x - 100) ** 2 + (y - 60) ** 2) / (2 * 6.0**2))).astype(np.uint8)
    features = Sift(max_size_px=max_size_px).extract(photo)
    nearest = np.argmin(np.abs(features.keypoints - (100.5, 60.5)).sum(1))
    np.testing.assert_allclose(features.keypoints[nearest], (100.5, 60.5), atol=0.06)
    assert features.scales[nearest] == pytest.approx(6, rel=0.15)  # pixels of the photo as it came, shrunk or not


def test_sift_keeps_the_largest_scales():
    every, few = Sift().extract(blobs()), Sift(max_keypoints=10).extract(blobs())
    assert len(few) == 10
    np.testing.assert_array_equal(few.scales, every.scales[:10])


def test_vlad_tells_places_apart_and_survives_empty_photos():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(2, 10, 32))
    places = [
        Features(
            np.zeros((200, 2)),
            _unit(centers[k][rng.integers(10, size=200)] + 0.2 * rng.normal(size=(200, 32))),
            np.ones(200),
        )
        for k in (0, 0, 1, 1)
    ]
    vlad = Vlad(num_words=16)
    background = [random_features(rng, 400, 32) for _ in range(3)]  # words that are nobody's own
    learned = vlad.fit(background)
    vectors = np.stack([vlad.describe(p, learned) for p in places])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    same = vectors @ vectors.T
    assert min(same[0, 1], same[2, 3]) > max(same[0, 2], same[0, 3], same[1, 2]) + 0.2
    np.testing.assert_array_equal(vlad.fit(background).centers, learned.centers)
    empty = Features(np.zeros((0, 2)), np.zeros((0, 32)), np.zeros(0))
    assert not vlad.describe(empty, learned).any()
    assert np.isfinite(vlad.describe(places[0], Vlad(num_words=500).fit(places[:1]))).all()  # fewer rows than words
    assert len(vlad.fit([]).centers) == 0


def test_vlad_leaves_out_keypoints_that_could_not_be_described():
    rng = np.random.default_rng(1)
    known = random_features(rng, 60, 8)
    holes = Features(np.zeros((90, 2)), np.insert(known.descriptors, [0] * 20 + [60] * 10, 0, axis=0), np.ones(90))
    learned = Vlad(num_words=4).fit([known])
    np.testing.assert_array_equal(Vlad(num_words=4).fit([holes]).centers, learned.centers)
    np.testing.assert_array_equal(Vlad(num_words=4).describe(holes, learned), Vlad().describe(known, learned))


def _unit(d):
    return (d / np.linalg.norm(d, axis=1, keepdims=True)).astype(np.float32)


def test_vlad_is_its_definition():
    rng = np.random.default_rng(1)
    features, vlad = random_features(rng, 50, 8), Vlad(num_words=4)
    learned = vlad.fit([random_features(rng, 80, 8)])
    expected = np.zeros((4, 8))
    for d in features.descriptors:
        word = np.argmin(((learned.centers - d) ** 2).sum(1))
        expected[word] += d - learned.centers[word]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vlad.describe(features, learned), (expected / 2).ravel(), atol=1e-5)


def test_ranking_leaves_out_the_query_itself_and_orders_ties():
    references = ImageList(tuple(Image(n, PINHOLE) for n in "abcd"))
    queries = ImageList((Image("c", PINHOLE), Image("x", PINHOLE)))
    vectors = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    ranking = rank(queries, vectors[[2, 2]], references, vectors, 3)
    assert ranking.index.tolist() == [[0, 3, 1], [0, 2, 3]]
    assert rank(queries, vectors[:2], references, vectors, 10).index.tolist()[0][-1] == -1  # no more than there are


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
    queries = _unit(rows.descriptors[true] + 0.05 * rng.normal(size=(100, 32)))
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
    means = _unit(np.array([rows.descriptors[rows.point == p].astype(float).mean(0) for p in range(150)]))
    queries = _unit(means[rng.integers(150, size=70)] + 0.1 * rng.normal(size=(70, 32)))
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


def test_bits_are_signs_or_where_no_value_is_negative_above_the_median():
    rows = random_rows(np.random.default_rng(2))
    assert not LiteralTrees().build(rows).thresholds.any()
    rows = dataclasses.replace(rows, descriptors=np.abs(rows.descriptors))
    np.testing.assert_allclose(LiteralTrees().build(rows).thresholds, np.median(rows.descriptors, axis=0))


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
            Frames().nearest(None, [0], rows, part)
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
    descriptors = _unit(rows.descriptors[true] + 0.08 * rng.normal(size=(60, 32)))
    query = Features(rng.uniform(0, 99, (60, 2)), descriptors, np.ones(60))
    some = [rng.permutation(len(rows.point))[: rng.integers(0, 60)].tolist() for _ in true]
    leaves = [list(dict.fromkeys([*s, int(t)])) for s, t in zip(some, true, strict=True)]
    leaves[0] = []
    shared = rows_in_frames(rows, [0, 2])
    csr = np.cumsum([0, *map(len, leaves)]), np.concatenate(leaves).astype(np.int32)
    in_leaves = nearest_of_rows(rows, descriptors, *csr)
    matches = RatioTest().match(query, search.nearest(in_leaves, [0, 2, -1], rows, descriptors), rows)
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
        assert len(RatioTest().match(query, search.nearest(None, [-1, -1], rows, query.descriptors), rows)) == 0
        nobody = Features(np.zeros((0, 2)), np.zeros((0, 32)), np.zeros(0))
        nearest = search.nearest(None, [0], rows, nobody.descriptors.astype(np.float32))
        assert len(RatioTest().match(nobody, nearest, rows)) == 0


def test_mutual_nearest_is_the_slow_one():
    rng = np.random.default_rng(9)
    first = random_features(rng, 70, 16)
    noisy = _unit(first.descriptors[rng.permutation(70)[:50]] + 0.15 * rng.normal(size=(50, 16)))
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


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Aachen(holdout=2.5), "Aachen.holdout is 2.5, but must be a value of type int"),
        (lambda: Aachen(root=2024), "Aachen.root is 2024, but must be a value of type str"),
        (lambda: RobotCar(cameras="rear"), "RobotCar.cameras is 'rear', but must be a value of type list"),
    ],
)
def test_optional_fields_are_checked_too(made, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        made()
    assert Aachen(holdout=None).holdout is None
