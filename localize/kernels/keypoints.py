"""Keypoints of a map of scores, and a map's values around them: what a dense feature does beside its convolutions.

Each kernel runs on one thread without the GIL.
"""

import numpy as np
from numba import njit

WINDOW = 2  # px to each side, of non-maximum suppression and of the refinement
BORDER = 4  # px at the photo's edge without keypoints


@njit(nogil=True, cache=True)
def peaks(scores, least, xy, found):
    """Pixels that are the largest of their 5 x 5 and above `least`; their number.

    scores (H, W) float32. xy (N, 2) int32 and found (N,) float32 are filled, as far as they reach, in the order of
    rows; of equal neighbours the first one is a peak.
    """
    height, width = scores.shape
    count = 0
    for i in range(BORDER, height - BORDER):
        row = scores[i]
        any_above = False
        for j in range(BORDER, width - BORDER):
            any_above |= row[j] > least
        if not any_above:
            continue
        for j in range(BORDER, width - BORDER):
            v = row[j]
            if v <= least or v <= row[j - 1] or v < row[j + 1]:
                continue
            if _is_peak(scores, i, j, v):
                if count < xy.shape[0]:
                    xy[count, 0], xy[count, 1], found[count] = j, i, v
                count += 1
    return count


@njit(nogil=True, cache=True, inline="always")
def _is_peak(scores, i, j, v):
    for y in range(i - WINDOW, i + WINDOW + 1):
        for x in range(j - WINDOW, j + WINDOW + 1):
            before = y < i or (y == i and x < j)
            if scores[y, x] > v or (before and scores[y, x] == v):
                return False
    return True


@njit(nogil=True, cache=True)
def refine_peaks(scores, xy, refined):
    """Each peak (N, 2) int32 moved to the mean of its 5 x 5 pixels under their odds, exp(score); refined (N, 2)
    float32, from the first pixel's centre. ALIKE's keypoint detection (Zhao et al. 2022) at temperature 1, as scores
    are log odds that were learned to have the keypoint's own place as their mean."""
    for n in range(xy.shape[0]):
        x, y = xy[n, 0], xy[n, 1]
        peak = scores[y, x]
        total, across, down = 0.0, 0.0, 0.0
        for dy in range(-WINDOW, WINDOW + 1):
            for dx in range(-WINDOW, WINDOW + 1):
                share = np.exp(scores[y + dy, x + dx] - peak)
                total += share
                across += share * dx
                down += share * dy
        refined[n, 0] = x + across / total
        refined[n, 1] = y + down / total


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def sample_map(cells, stride, side, xy, out):
    """A map (h, w, C) float32 at side x side cells around places (N, 2) px, into out (N, side * side * C).

    Bilinear; beyond the edge as the last cell. Place (0, 0) is the first pixel's centre and that of the first cell.
    """
    height, width, channels = cells.shape
    half = side // 2
    for n in range(xy.shape[0]):
        at = 0
        for dy in range(-half, half + 1):
            y = min(max(np.float32(xy[n, 1] / stride + dy), np.float32(0)), np.float32(height - 1))
            top = min(int(y), height - 2) if height > 1 else 0
            low = min(top + 1, height - 1)
            v = np.float32(y - top)
            for dx in range(-half, half + 1):
                x = min(max(np.float32(xy[n, 0] / stride + dx), np.float32(0)), np.float32(width - 1))
                left = min(int(x), width - 2) if width > 1 else 0
                right = min(left + 1, width - 1)
                u = np.float32(x - left)
                a, b = (1 - u) * (1 - v), u * (1 - v)
                c, d = (1 - u) * v, u * v
                p, q, r, s = cells[top, left], cells[top, right], cells[low, left], cells[low, right]
                target = out[n, at : at + channels]
                for k in range(channels):
                    target[k] = a * p[k] + b * q[k] + c * r[k] + d * s[k]
                at += channels
