"""The detector of SIFT finds what pycolmap finds, the code that it follows."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from localize.features.sift import Sift
from localize.io.images import read_photo

SETTINGS = [
    {},
    {"first_octave": 0, "upright": True},
    {"max_orientations": 1, "peak_threshold": 0.02, "edge_threshold": 4.0},
    {"first_octave": 1},
]


@pytest.fixture(scope="module")
def photo(synthetic_root):
    return np.ascontiguousarray(
        read_photo(sorted((synthetic_root / "images").rglob("*.*"))[0], grey=True)[80:401, 100:445]
    )


def compared(rows: np.ndarray) -> np.ndarray:
    """Rows (N, 5) where 0.1 is 0.1 px, a hundredth of the scale, or 0.01 rad."""
    x, y, sigma, angle = rows.astype(float).T
    return np.column_stack([x, y, 10 * np.log(sigma), 10 * np.cos(angle), 10 * np.sin(angle)])


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_keypoints_are_those_of_pycolmap(photo, settings):
    ours, theirs = (Sift(detector=d, **settings).detect(photo)[0] for d in ("numba", "pycolmap"))
    assert len(theirs) > 30
    for found, wanted in ((ours, theirs), (theirs, ours)):
        distance, _ = cKDTree(compared(wanted)).query(compared(found))
        assert np.mean(distance < 0.1) > 0.98  # the rest: a second orientation, near to the threshold of being one
        distance, _ = cKDTree(compared(wanted)[:, :3]).query(compared(found)[:, :3])
        assert np.mean(distance < 0.01) > 0.99
    assert np.all(np.diff(ours[:, 2]) <= 0)
    assert np.abs(ours[:, 3]).max() <= np.float32(np.pi)


def test_small_and_narrow_photos_have_none():
    for shape in ((1, 1), (1, 40), (40, 2), (3, 3)):
        assert len(Sift().detect(np.full(shape, 90, np.uint8))[0]) == 0
