"""SIFT descriptors at keypoints that somebody else found, as VLFeat and COLMAP compute them.

Lowe, IJCV 2004; Vedaldi & Fulkerson, "VLFeat", 2008 (vl_sift, followed in all that changes the numbers); Arandjelovic &
Zisserman, CVPR 2012 (RootSIFT). Arrays in, arrays out; one thread without the GIL, so callers run several at once.

Where a keypoint was found the octave and level are known; here they are the ones nearest to its sigma.
"""

import math

import numpy as np
from numba import njit

from localize.kernels.scale_space import LEVELS, SIGMA_0, scale_space

BIN_SIGMAS = 3.0  # side of a spatial bin, in sigmas of the keypoint
WINDOW_BINS = 2.0  # sigma of the Gaussian window, in bins
CLIP = 0.2  # largest value of a histogram of unit length
MIN_SIDE_PX = 8  # there is no octave with a smaller side


def describe(photo: np.ndarray, xy: np.ndarray, sigma: np.ndarray, angle: np.ndarray, first_octave: int) -> np.ndarray:
    """RootSIFT (N, 128) float32 in COLMAP's layout, row i of keypoint i: unit length, or zeros where nothing is seen.

    photo (H, W) uint8; xy (N, 2) px, the first pixel's centre is (0.5, 0.5); sigma (N,) px; angle (N,) rad, 0 to the
    right, +pi/2 down. All must be finite. first_octave: -1 doubles both sides of the photo first, as in VLFeat.
    """
    xy, sigma = np.asarray(xy, np.float64), np.asarray(sigma, np.float64)
    angle = np.remainder(np.asarray(angle, np.float64), 2 * np.pi)
    histograms = np.zeros((len(xy), 128), np.float32)
    last_octave = max(first_octave, math.floor(math.log2(max(1, min(photo.shape)) / MIN_SIDE_PX)))
    # levels, counted from level 0 of octave 0; a keypoint finer or coarser than all goes to the nearest one
    place = np.rint(LEVELS * np.log2(np.maximum(sigma, 1e-9) / SIGMA_0))
    place = np.clip(place, LEVELS * first_octave, LEVELS * last_octave + LEVELS - 1).astype(np.int64)
    last_octave = place.max(initial=LEVELS * first_octave - 1) // LEVELS
    for octave, images in scale_space(photo, first_octave, last_octave):
        for level, image in enumerate(images[1:]):
            rows, smaller = np.flatnonzero(place == LEVELS * octave + level), 2.0**-octave
            add_gradients(image, (xy[rows] - 0.5) * smaller, sigma[rows] * smaller, angle[rows], rows, histograms)
    return _root(histograms)


def _root(histograms):
    """L2 norm, clipping and L1 norm, then the square root: rows of unit length, or zeros."""
    length = np.linalg.norm(histograms, axis=1, keepdims=True)
    clipped = np.minimum(histograms / np.maximum(length, 1e-12), CLIP)
    return np.sqrt(clipped / np.maximum(clipped.sum(1, keepdims=True), 1e-12))


@njit(nogil=True, cache=True)
def add_gradients(image, xy, sigma, angle, rows, histograms):
    """Fill histograms[rows] (., 128): 4 x 4 bins of side 3 sigma x 8 directions of the gradient, trilinear.

    xy and sigma in px of this image, the first pixel's centre is (0, 0).
    """
    height, width = image.shape
    bins = np.empty((6, 6, 9), np.float64)  # one more on each side: no bound to check; direction 8 is 0 again
    across = np.empty(width, np.float64)
    for k in range(len(rows)):
        side = BIN_SIGMAS * sigma[k]
        if not side > 0:
            continue
        cos, sin = math.cos(angle[k]), math.sin(angle[k])
        reach = 2.5 * side * (abs(cos) + abs(sin))  # of the turned square of 4 x 4 bins and half a bin around
        left, right = _within(xy[k, 0], reach, width)
        top, bottom = _within(xy[k, 1], reach, height)
        narrow = -0.5 / (WINDOW_BINS * side) ** 2  # the window is a product of one along x and one along y
        for x in range(left, right):
            across[x] = math.exp(narrow * (x - xy[k, 0]) ** 2)
        bins[:] = 0
        for y in range(top, bottom):
            dy = (y - xy[k, 1]) / side
            down = math.exp(narrow * (y - xy[k, 1]) ** 2)
            for x in range(left, right):
                dx = (x - xy[k, 0]) / side
                u, v = cos * dx + sin * dy + 2.5, cos * dy - sin * dx + 2.5  # 0.5 to 4.5 is the square of the bins
                if 0 < u < 5 and 0 < v < 5:
                    gx, gy = (image[y, x + 1] - image[y, x - 1]) / 2, (image[y + 1, x] - image[y - 1, x]) / 2
                    square = gx * gx + gy * gy
                    if square >= 1e-8:  # of grey values in 0..1; smaller ones are rounding errors
                        weight = math.sqrt(square) * across[x] * down
                        _vote(bins, u, v, angle[k] - math.atan2(gy, gx), weight)
        for i in range(4):
            for j in range(4):
                bins[i + 1, j + 1, 0] += bins[i + 1, j + 1, 8]
                for t in range(8):
                    histograms[rows[k], 32 * i + 8 * j + t] = bins[i + 1, j + 1, t]


@njit(nogil=True, cache=True)
def _within(center, reach, size):
    """First and last + 1 of the pixels within reach that have two neighbours; none for a center far away."""
    first = min(max(np.ceil(center - reach), 1.0), size - 1.0)
    end = min(max(np.floor(center + reach) + 1, 1.0), size - 1.0)
    return int(first), int(end)


@njit(nogil=True, cache=True)
def _vote(bins, u, v, turn, weight):
    """Share one gradient among the 8 bins around it. COLMAP counts directions the other way round than VLFeat does."""
    t = turn * (8 / (2 * math.pi))
    t -= 8 * np.floor(t / 8)
    i, j, s = int(v), int(u), min(int(t), 7)
    v, u, t = v - i, u - j, t - s
    a, b = weight * (1 - v), weight * v
    bins[i, j, s] += a * (1 - u) * (1 - t)
    bins[i, j, s + 1] += a * (1 - u) * t
    bins[i, j + 1, s] += a * u * (1 - t)
    bins[i, j + 1, s + 1] += a * u * t
    bins[i + 1, j, s] += b * (1 - u) * (1 - t)
    bins[i + 1, j, s + 1] += b * (1 - u) * t
    bins[i + 1, j + 1, s] += b * u * (1 - t)
    bins[i + 1, j + 1, s + 1] += b * u * t
