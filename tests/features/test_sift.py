"""What is particular to SIFT: where pixel centres are, which keypoints are kept."""

import numpy as np
import pytest

from localize.features.sift import Sift
from localize.types import InputError
from tests.contracts.test_features import blobs

DETECTORS = ["numba", "pycolmap"]


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("max_size_px", [1600, 160])
def test_sift_puts_pixel_centres_at_one_half(max_size_px, detector):
    y, x = np.mgrid[:240, :320]
    photo = (255 * np.exp(-((x - 100) ** 2 + (y - 60) ** 2) / (2 * 6.0**2))).astype(np.uint8)
    features = Sift(max_size_px=max_size_px, detector=detector).extract(photo)
    nearest = np.argmin(np.abs(features.keypoints - (100.5, 60.5)).sum(1))
    np.testing.assert_allclose(features.keypoints[nearest], (100.5, 60.5), atol=0.06)
    assert features.scales[nearest] == pytest.approx(6, rel=0.15)  # pixels of the photo as it came, shrunk or not


@pytest.mark.parametrize("detector", DETECTORS)
def test_sift_keeps_the_largest_scales(detector):
    every, few = (Sift(max_keypoints=n, detector=detector).extract(blobs()) for n in (8192, 10))
    assert len(few) == 10
    np.testing.assert_array_equal(few.scales, every.scales[:10])
    np.testing.assert_array_equal(few.descriptors, every.descriptors[:10])


def test_another_detector_is_refused():
    with pytest.raises(InputError, match=r"Sift\.detector is 'vlfeat', but must be one of: numba, pycolmap"):
        Sift(detector="vlfeat")
