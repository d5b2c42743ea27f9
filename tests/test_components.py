"""The contract of local features, over all of them, and what is particular to SIFT."""

import pickle
import re

import numpy as np
import pytest

from localize.datasets.aachen import Aachen
from localize.datasets.robotcar import RobotCar
from localize.features.sift import Sift
from localize.types import InputError


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
