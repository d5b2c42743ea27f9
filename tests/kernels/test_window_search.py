"""The search around projected points, against a slow twin."""

import numpy as np
import pytest

from localize.kernels.rows import as_stored
from localize.kernels.window_search import each_keypoint_once, grid_of, rows_by_point, window_search
from tests.conftest import unit


def slow_window_search(xy, descriptors, places, row_descriptors, point_of_row, radius, least):
    """Of each place the most similar keypoint within the radius, over all its rows."""
    best, keypoint = np.full(len(places), -np.inf), np.full(len(places), -1)
    for row, p in zip(row_descriptors.astype(np.float64), point_of_row, strict=True):
        for k in np.flatnonzero(np.hypot(*(xy - places[p]).T) <= radius):
            similarity = descriptors[k].astype(np.float64) @ row
            if similarity >= least and similarity > best[p]:
                best[p], keypoint[p] = similarity, k
    return best, keypoint


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_window_search(dtype):
    rng = np.random.default_rng(0)
    xy = rng.uniform(-60, 60, (300, 2))
    xy[7] = np.nan  # a keypoint where the camera model has no inverse
    descriptors = unit(rng.normal(size=(300, 16)))
    places, stored = rng.uniform(-70, 70, (90, 2)), unit(rng.normal(size=(400, 16))).astype(dtype)
    rows, point_of_row = rng.permutation(400)[:250], rng.integers(0, 90, 250)
    grid = 11.0, -50.0, -50.0, 10, 10  # smaller than the photo: keypoints outside belong to the nearest cell
    first, keypoints = grid_of(xy, *grid)
    assert sorted(keypoints) == [k for k in range(300) if k != 7]
    best, keypoint = np.empty(90, np.float32), np.empty(90, np.int32)
    inside = (np.abs(places) < 45).all(1)  # of places outside only some neighbours are looked at
    window_search(
        xy,
        descriptors,
        first,
        keypoints,
        *grid,
        places,
        *as_stored(stored),
        rows,
        point_of_row,
        9.0,
        0.1,
        best,
        keypoint,
    )
    slow_best, slow_keypoint = slow_window_search(xy, descriptors, places, stored[rows], point_of_row, 9.0, 0.1)
    np.testing.assert_array_equal(keypoint[inside], slow_keypoint[inside])
    np.testing.assert_allclose(best[inside], slow_best[inside], rtol=1e-5)
    assert 10 < (keypoint[inside] >= 0).sum() < inside.sum()


def test_each_keypoint_once_goes_to_the_most_similar_point():
    best = np.array([0.5, 0.7, 0.7, 0.2, -np.inf], np.float32)
    keypoint = np.array([3, 3, 3, 1, -1], np.int32)
    each_keypoint_once(best, keypoint, 5)
    assert keypoint.tolist() == [-1, 3, -1, 1, -1]


def test_rows_by_point():
    point = np.array([2, 0, 2, 3, 0, 2])
    first, rows = rows_by_point(point, 5)
    assert [rows[first[p] : first[p + 1]].tolist() for p in range(5)] == [[1, 4], [], [0, 2, 5], [3], []]
