"""VLAD against its definition, and where it meets empty photos."""

import numpy as np

from localize.retrieval.vlad import Vlad
from localize.types import Features
from tests.conftest import random_features, unit


def test_vlad_tells_places_apart_and_survives_empty_photos():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(2, 10, 32))
    places = [
        Features(
            np.zeros((200, 2)),
            unit(centers[k][rng.integers(10, size=200)] + 0.2 * rng.normal(size=(200, 32))),
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
