"""What is particular to SIFT: where pixel centres are, which keypoints are kept, and that its two detectors agree."""

import cv2
import numpy as np
import pytest
import threadpoolctl
from scipy.spatial import cKDTree

from localize.features.sift import Sift
from localize.io.images import read_photo
from localize.types import InputError
from tests.contracts.test_features import blobs

DETECTORS = ["opencv", "pycolmap"]


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


def test_the_detectors_agree(synthetic_root):
    photo = read_photo(sorted((synthetic_root / "images").rglob("*.*"))[0], grey=True)
    found, theirs = (Sift(detector=detector).extract(photo) for detector in DETECTORS)
    places = [np.column_stack([f.keypoints, 9 * np.log(f.scales)]) for f in (found, theirs)]
    near = cKDTree(places[1]).query_ball_point(places[0], 0.3)
    assert np.mean([len(rows) > 0 for rows in near]) > 0.9
    pairs = np.array([(i, j) for i, rows in enumerate(near) for j in rows])
    turn = found.orientations[pairs[:, 0]] - theirs.orientations[pairs[:, 1]]
    same = pairs[np.abs(np.remainder(turn + np.pi, 2 * np.pi) - np.pi) < 0.2]
    assert len(np.unique(same[:, 0])) > 0.8 * len(found)
    ours, expected = (f.descriptors.astype("f")[rows] for f, rows in zip((found, theirs), same.T, strict=True))
    assert np.median((ours * expected).sum(1)) > 0.998
    offset = found.keypoints[same[:, 0]] - theirs.keypoints[same[:, 1]]
    np.testing.assert_allclose(np.median(offset, axis=0), 0, atol=0.01)


def test_opencvs_orientations_are_rows_of_their_own():
    one, two, upright = (
        Sift(**kind).extract(blobs()) for kind in ({"max_orientations": 1}, {"max_orientations": 2}, {"upright": True})
    )
    places = [np.column_stack([f.keypoints, f.scales]) for f in (one, two, upright)]
    counts = [np.unique(p, axis=0, return_counts=True)[1] for p in places]
    assert [c.max() for c in counts] == [1, 2, 1]
    np.testing.assert_array_equal(np.unique(places[0], axis=0), np.unique(places[1], axis=0))
    assert not upright.orientations.any()


def test_opencv_starts_no_threads_where_libraries_may_not():
    with threadpoolctl.threadpool_limits(1):
        alone = Sift().extract(blobs())
        assert cv2.getNumThreads() == 1
    with threadpoolctl.threadpool_limits(2):
        np.testing.assert_array_equal(Sift().extract(blobs()).descriptors, alone.descriptors)


def test_what_opencv_cannot_do_is_said():
    with pytest.raises(InputError, match=r"first_octave is 0, but OpenCV always .* take detector=pycolmap"):
        Sift(first_octave=0)
    with pytest.raises(InputError, match=r"Sift\.detector is 'vlfeat', but must be one of: opencv, pycolmap"):
        Sift(detector="vlfeat")
