"""VLAD of a dense CRBNet's keypoints: against its definition, and on photos of streets in other light."""

import numpy as np
import pytest

from localize.features.dense_crbnet import DenseCrbnet
from localize.io.images import read_photo
from localize.retrieval.crbnet_vlad import CrbnetVlad
from localize.train.photos.homographies import random_homography, warp
from localize.train.photos.photometric import random_change
from tests.conftest import CHECKOUT
from tests.generated_photos import textured

STREETS = CHECKOUT / "datasets/minitown_photos/db"


def test_it_is_its_definition():
    small = CrbnetVlad(num_keypoints=40, edge_px=160, local_dim=8, num_words=3, dim=4)
    feature = DenseCrbnet(max_keypoints=40, scales=(1.0,), min_size_px=160, max_size_px=160)
    photos = [textured(k)[:, :, 0] for k in range(6)]
    found = [feature.extract(photo).descriptors.astype(np.float64) for photo in photos]
    learned = small.fit(photos)

    rows = np.concatenate(found)
    _, _, axes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    overlap = np.abs(axes[:8] @ learned.directions.T)
    np.testing.assert_allclose(overlap, np.eye(8), atol=2e-2)  # the same axes, of either sign
    wholes = []
    for vectors in found:
        reduced = (vectors - rows.mean(0)) @ learned.directions.T
        sums = np.zeros((3, 8))
        for row in reduced:
            word = np.argmin(((learned.centers - row) ** 2).sum(1))
            sums[word] += row - learned.centers[word]
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        whole = sums.ravel() / np.linalg.norm(sums)
        wholes.append(np.sign(whole) * np.sqrt(np.abs(whole)))
    centred = np.array(wholes) - np.mean(wholes, 0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ axes[:4].T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    made = np.stack([small.describe(photo, learned) for photo in photos])
    np.testing.assert_allclose(made @ made.T, expected @ expected.T, atol=2e-2)  # float16 among what it learns from


def test_it_knows_streets_again_from_elsewhere_and_in_other_light():
    rng = np.random.default_rng(0)
    photos = [read_photo(path)[::2, ::2] for path in sorted(STREETS.glob("*.jpg"))[::8]]
    how = {"rotation_deg": 5, "scale": (1.1, 1.3), "shear": 0.05, "perspective": 0.1}
    changed = [
        random_change(warp(p, random_homography(rng, p.shape[1::-1], **how)), rng, 0.7, night_share=0.3) for p in photos
    ]
    retrieval = CrbnetVlad(edge_px=320)
    learned = retrieval.fit(photos)
    known, asked = (np.stack([retrieval.describe(p, learned) for p in of]) for of in (photos, changed))
    assert ((asked @ known.T).argmax(1) == np.arange(len(photos))).mean() >= 0.8


def test_few_keypoints_have_fewer_words_than_there_are_keypoints():
    """Residuals to a word of its own are rounding errors, which say nothing of a photo."""
    photos = [textured(k) for k in range(6)]
    retrieval = CrbnetVlad(num_keypoints=12, edge_px=128)
    learned = retrieval.fit(photos)
    assert len(learned.centers) <= 12 * len(photos) // 10
    noise = np.random.default_rng(0).normal(0, 2, photos[0].shape)
    asked = [(photo + noise).clip(0, 255).astype(np.uint8) for photo in photos]
    known, found = (np.stack([retrieval.describe(photo, learned) for photo in of]) for of in (photos, asked))
    assert ((found @ known.T).argmax(1) == np.arange(len(photos))).all()


@pytest.mark.parametrize("number", [1, 2])
def test_odd_photos_and_few_references(number):
    retrieval = CrbnetVlad(num_keypoints=50, edge_px=128, num_words=4)
    photos = [textured(k) for k in range(number)]
    learned = retrieval.fit(photos)
    found = [retrieval.describe(photo, learned) for photo in photos]
    assert {vector.dtype for vector in found} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    blank = np.full((60, 80, 3), 128, np.uint8)
    nothing = retrieval.describe(blank, learned)
    assert nothing.shape == found[0].shape
    assert not nothing.any()
    assert not retrieval.describe(photos[0][:0], learned).any()
    assert np.isfinite(retrieval.describe(photos[0], retrieval.fit([blank, blank]))).all()
    grey = photos[0][..., 1]
    np.testing.assert_array_equal(
        retrieval.describe(grey, learned), retrieval.describe(grey[..., None].repeat(3, 2), learned)
    )
    with pytest.raises(ValueError, match="expected"):
        retrieval.describe(photos[0].astype(np.float32), learned)
