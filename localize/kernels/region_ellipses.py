"""Ellipses on activation maps: their boxes, the highest activation in them, and those that overlap a better one."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def boxes_and_strengths(means, factors, channels, maps, circle):
    """Boxes (N, 4) int32, least x, least y, highest x, highest y, and strengths (N,) of the ellipses; 0: none.

    means (N, 2) float64 in cells, where the centre of the upper-left one is (0, 0); factors (N, 3): Cholesky factors of
    the covariances, 11, 21, 22; channels (N,) into maps (C, h, w) float32; circle (K, 2): points of the unit circle.

    The outline is a polygon whose corners are rounded to cells: without, ellipses of a few cells hold no cell's centre.
    Its cells, those on its edge too, are a row each between where the edges cross it: an ellipse is convex.
    A box is cut to the map; one that is a single cell wide or high has no strength, nor has one without activation.
    """
    height, width = maps.shape[1:]
    boxes, strengths = np.zeros((len(means), 4), np.int32), np.zeros(len(means), np.float32)
    corners = np.empty((len(circle), 2), np.int64)
    for n in range(len(means)):
        for k in range(len(circle)):
            corners[k, 0] = np.floor(means[n, 0] + factors[n, 0] * circle[k, 0] + 0.5)
            y = means[n, 1] + factors[n, 1] * circle[k, 0] + factors[n, 2] * circle[k, 1]
            corners[k, 1] = np.floor(y + 0.5)
        boxes[n, 0], boxes[n, 1] = max(corners[:, 0].min(), 0), max(corners[:, 1].min(), 0)
        boxes[n, 2], boxes[n, 3] = min(corners[:, 0].max(), width - 1), min(corners[:, 1].max(), height - 1)
        if boxes[n, 2] <= boxes[n, 0] or boxes[n, 3] <= boxes[n, 1]:
            continue
        for y in range(boxes[n, 1], boxes[n, 3] + 1):
            left, right = _crossings(corners, y)
            for x in range(max(left, 0), min(right, width - 1) + 1):
                strengths[n] = max(strengths[n], maps[channels[n], y, x])
    return boxes, strengths


@njit(nogil=True, cache=True)
def _crossings(corners, y):
    """The first and last cell of a row within a convex polygon (K, 2) int64 of cells."""
    left, right = corners[:, 0].max(), corners[:, 0].min()
    previous = len(corners) - 1
    for k in range(len(corners)):
        x0, y0, x1, y1 = corners[previous, 0], corners[previous, 1], corners[k, 0], corners[k, 1]
        previous = k
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        if y < y0 or y > y1:
            continue
        if y0 == y1:
            left, right = min(left, x0, x1), max(right, x0, x1)
        else:
            along, high = (y - y0) * (x1 - x0), y1 - y0  # floor division of whole numbers: nothing is rounded
            left, right = min(left, x0 - (-along) // high), max(right, x0 + along // high)
    return left, right


@njit(nogil=True, cache=True)
def without_overlaps(boxes, max_overlap):
    """Rows of boxes (N, 4), best first, that overlap no better one that is kept by more; overlap: share of the union.

    A box is as wide as its first and last cell are apart.
    """
    kept = np.empty(len(boxes), np.int64)
    num_kept = 0
    for n in range(len(boxes)):
        free = True
        for k in range(num_kept):
            if _overlap(boxes[n], boxes[kept[k]]) > max_overlap:
                free = False
                break
        if free:
            kept[num_kept] = n
            num_kept += 1
    return kept[:num_kept]


@njit(nogil=True, cache=True)
def _overlap(a, b):
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
