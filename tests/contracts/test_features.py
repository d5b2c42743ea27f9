"""The contract of local features, over all of them."""

import pickle

import numpy as np
import pytest

from localize.features.sift import Sift


def blobs(height=200, width=300, seed=0) -> np.ndarray:
    """A grey photo with soft blobs of several sizes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    photo = np.zeros((height, width))
    for _ in range(60):
        cx, cy, s = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1.5, 8)
        photo += rng.uniform(-1, 1) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * s * s))
    return (255 * (photo - photo.min()) / np.ptp(photo)).astype(np.uint8)


FEATURES = [Sift(), Sift(upright=True, first_octave=0), Sift(max_size_px=150), Sift(detector="pycolmap")]


@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_local_features_contract(feature):
    check_local_feature(feature)


def check_local_feature(feature):
    """Repeatable, picklable, unit length, inside the photo; nothing in photos that show nothing; its own kind only."""

    def shown(grey: np.ndarray) -> np.ndarray:
        return grey if feature.grey else np.repeat(grey[..., None], 3, axis=2)

    photo = shown(blobs())
    first, again = feature.extract(photo), pickle.loads(pickle.dumps(feature)).extract(photo)
    assert len(first) > 20
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    np.testing.assert_array_equal(first.descriptors, again.descriptors)
    np.testing.assert_allclose(np.linalg.norm(first.descriptors.astype(float), axis=1), 1, atol=2e-3)
    assert ((first.keypoints >= 0) & (first.keypoints <= (300, 200))).all()
    for nothing in (np.zeros((5, 5), np.uint8), np.zeros((1, 1), np.uint8), np.full((80, 90), 127, np.uint8)):
        assert len(feature.extract(shown(nothing))) == 0
    with pytest.raises(ValueError, match="takes"):
        feature.extract(np.zeros((20, 20, 2), np.uint8))
