"""Peaks of a map of scores and values around places, against slow twins."""

import numpy as np

from localize.kernels.keypoints import BORDER, WINDOW, peaks, refine_peaks, sample_map


def slow_peaks(scores, least):
    """(x, y) of the pixels above `least` that no pixel of their 5 x 5 exceeds, of equal ones the first."""
    height, width = scores.shape
    found = []
    for y in range(BORDER, height - BORDER):
        for x in range(BORDER, width - BORDER):
            window = scores[y - WINDOW : y + WINDOW + 1, x - WINDOW : x + WINDOW + 1]
            first = np.unravel_index(window.argmax(), window.shape) == (WINDOW, WINDOW)
            if scores[y, x] > least and first:
                found.append((x, y))
    return found


def test_peaks_are_those_of_the_slow_twin():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(60, 70)).astype(np.float32)
    scores[10:20, 10:40] = np.round(scores[10:20, 10:40])  # equal neighbours
    seen = scores[:57, :64]  # what fills a photo up is no part of it
    xy, found = np.empty((500, 2), np.int32), np.empty(500, np.float32)
    count = peaks(seen, np.float32(0.5), xy, found)
    wanted = slow_peaks(seen, 0.5)
    assert list(map(tuple, xy[:count])) == wanted
    assert len(wanted) > 20
    np.testing.assert_array_equal(found[:count], [scores[y, x] for x, y in wanted])
    few = np.empty((5, 2), np.int32), np.empty(5, np.float32)
    assert peaks(seen, np.float32(0.5), *few) == count  # all are counted, as many as fit are kept
    np.testing.assert_array_equal(few[0], xy[:5])


def test_refined_peaks_are_means_under_the_odds():
    y, x = np.mgrid[:30, :40]
    places = np.array([[12.3, 9.8], [25.0, 20.4]])
    odds = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2 / 0.7**2) for a, b in places) + 1e-9
    scores = np.log(odds).astype(np.float32)
    peak = np.rint(places).astype(np.int32)
    refined = np.empty((2, 2), np.float32)
    refine_peaks(scores, peak, refined)
    np.testing.assert_allclose(refined, places, atol=0.01)


def test_sampled_cells_are_bilinear_and_end_at_the_edge():
    rng = np.random.default_rng(4)
    cells = rng.normal(size=(7, 9, 3)).astype(np.float32)
    xy = np.concatenate([rng.uniform(0, [32, 24], (20, 2)), [[0, 0], [35, 27]]]).astype(np.float32)
    out = np.empty((len(xy), 27), np.float32)
    sample_map(cells, np.float32(4), 3, xy, out)
    for place, row in zip(xy, out.reshape(-1, 3, 3, 3), strict=True):
        for i, dy in enumerate((-1, 0, 1)):
            for j, dx in enumerate((-1, 0, 1)):
                x, y = (place / 4 + [dx, dy]).clip(0, [8, 6])
                a, b = min(int(x), 7), min(int(y), 5)
                u, v = x - a, y - b
                mixed = (1 - v) * ((1 - u) * cells[b, a] + u * cells[b, a + 1])
                mixed = mixed + v * ((1 - u) * cells[b + 1, a] + u * cells[b + 1, a + 1])
                np.testing.assert_allclose(row[i, j], mixed, atol=1e-5)
