"""SIFT keypoints with scale and orientation, as VLFeat and COLMAP find them, without descriptors.

Lowe, IJCV 2004, sections 3 to 5; Vedaldi & Fulkerson, "VLFeat", 2008 (vl_sift, followed in all that changes the
numbers). Arrays in, arrays out; one thread without the GIL, so callers run several at once.

VLFeat lets a maximum follow its parabola in the plane alone; OpenCV's SIFT, as fast as this, moves it to other levels
too, loses a sixth of them, and with these a quarter of the places that two photos share.
"""

import math

import numpy as np
from numba import njit

from localize.kernels.scale_space import LEVELS, SIGMA_0, scale_space

OCTAVES = 4  # at most, as in COLMAP
EARLY = 0.8  # share of the threshold that a pixel must reach before its place is refined
STEPS = 5  # of refinement
STEP_PX = 0.6  # a maximum further away than this is looked for from the next pixel
FAR = 1.5  # pixels or levels: a maximum this far from its pixel is none
BINS = 36  # of directions
WINDOW = 1.5  # sigma of the weights around a keypoint, in sigmas of the keypoint
PEAK = 0.8  # share of the highest peak that makes another orientation


def detect(
    photo: np.ndarray,
    first_octave: int,
    peak_threshold: float,
    edge_threshold: float,
    max_places: int,
    max_orientations: int,
) -> np.ndarray:
    """Keypoints (N, 4) float32 of a photo (H, W) uint8: x, y px, sigma px, angle rad in -pi to pi; 0 right, pi/2 down.

    The first pixel's centre is (0.5, 0.5). first_octave: -1 doubles both sides of the photo first. peak_threshold: of
    differences between levels, grey values in 0..1. max_places: the ones of the largest sigma are kept, with those that
    are as large as the last one. max_orientations: rows of one place, the first ones by angle from 0 to 2 pi; 0: one
    row, of angle 0.
    """
    octaves = list(_octaves(photo, first_octave, peak_threshold, edge_threshold))
    sigma = np.concatenate([[], *(scale * _sigma(places[:, 2]) for scale, _, places in octaves)])
    smallest = -np.partition(-sigma, max_places - 1)[max_places - 1] if len(sigma) > max_places else 0.0
    found = [np.zeros((0, 4), np.float32)]
    for scale, images, places in octaves:
        rows = oriented(images, places[scale * _sigma(places[:, 2]) >= smallest], max_orientations)
        rows[:, :3] *= scale
        found.append(rows)
    found = np.concatenate(found)
    found[:, :2] += np.float32(0.5)
    found[:, 3] -= np.float32(2 * np.pi) * (found[:, 3] > np.pi)
    return found


def _octaves(photo, first_octave, peak_threshold, edge_threshold):
    """Yield (pixels of the photo a pixel, images of levels 0 to LEVELS - 1, places) of each octave."""
    for octave, images in scale_space(photo, first_octave, first_octave + OCTAVES - 1, LEVELS + 1):
        places = refined(images[1:] - images[:-1], peak_threshold, edge_threshold)
        yield 2.0**octave, images[1 : 1 + LEVELS], places


def _sigma(level):
    return SIGMA_0 * 2 ** (level / LEVELS)


@njit(nogil=True, cache=True)
def refined(differences, peak_threshold, edge_threshold):
    """Places (N, 4) float64 of maxima and minima: x, y in px, level (may lie between two), and the level of its pixel.

    differences (LEVELS + 2, H, W) float32 between levels; the first is of level -1. x, y and levels are of the octave.
    """
    out, n = np.empty((1024, 4), np.float64), 0
    place = np.empty(3, np.float64)
    _, height, width = differences.shape
    for s in range(1, LEVELS + 1):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                value = differences[s, y, x]
                if not (abs(value) >= EARLY * peak_threshold and _is_extremum(differences, s, y, x, value)):
                    continue
                if _refine(differences, s, y, x, peak_threshold, edge_threshold, place):
                    if n == len(out):
                        out = np.concatenate((out, np.empty_like(out)))
                    out[n, :3], out[n, 3] = place, s - 1
                    n += 1
    return out[:n]


@njit(nogil=True, cache=True, inline="always")
def _is_extremum(differences, s, y, x, value):
    """Whether the value is above, or below, those of all 26 neighbours; of its own level first, as most fail there."""
    sign = np.float32(1 if value > 0 else -1)
    value = sign * value
    for t in (s, s - 1, s + 1):
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                if sign * differences[t, j, i] >= value and not (t == s and j == y and i == x):
                    return False
    return True


@njit(nogil=True, cache=True)
def _refine(d, s, y, x, peak_threshold, edge_threshold, place):
    """Put the top of the parabola through the neighbours into place (x, y, level); whether it is a keypoint.

    In the plane the pixel follows the top; the level stays.
    """
    _, height, width = d.shape
    step_x = step_y = 0
    for _ in range(STEPS):
        x, y = x + step_x, y + step_y
        gx, gy = (d[s, y, x + 1] - d[s, y, x - 1]) / 2, (d[s, y + 1, x] - d[s, y - 1, x]) / 2
        gs = (d[s + 1, y, x] - d[s - 1, y, x]) / 2
        twice = 2.0 * d[s, y, x]
        xx, yy = d[s, y, x + 1] + d[s, y, x - 1] - twice, d[s, y + 1, x] + d[s, y - 1, x] - twice
        ss = d[s + 1, y, x] + d[s - 1, y, x] - twice
        xy = (d[s, y + 1, x + 1] + d[s, y - 1, x - 1] - d[s, y + 1, x - 1] - d[s, y - 1, x + 1]) / 4
        xs = (d[s + 1, y, x + 1] + d[s - 1, y, x - 1] - d[s + 1, y, x - 1] - d[s - 1, y, x + 1]) / 4
        ys = (d[s + 1, y + 1, x] + d[s - 1, y - 1, x] - d[s + 1, y - 1, x] - d[s - 1, y + 1, x]) / 4
        dx, dy, ds = _solved(xx, yy, ss, xy, xs, ys, -gx, -gy, -gs)
        step_x = int(dx > STEP_PX and x < width - 2) - int(dx < -STEP_PX and x > 1)
        step_y = int(dy > STEP_PX and y < height - 2) - int(dy < -STEP_PX and y > 1)
        if step_x == 0 and step_y == 0:
            break
    place[0], place[1], place[2] = x + dx, y + dy, s - 1 + ds
    peak = d[s, y, x] + (gx * dx + gy * dy + gs * ds) / 2
    trace, determinant = xx + yy, xx * yy - xy * xy
    edge = determinant > 0 and trace * trace < determinant * (edge_threshold + 1) ** 2 / edge_threshold
    near = abs(dx) < FAR and abs(dy) < FAR and abs(ds) < FAR
    inside = 0 <= place[0] <= width - 1 and 0 <= place[1] <= height - 1
    return abs(peak) > peak_threshold and edge and near and inside and place[2] >= -1


@njit(nogil=True, cache=True, inline="always")
def _solved(a, d, f, b, c, e, x, y, z):
    """The solution of [[a b c] [b d e] [c e f]] v = (x, y, z) by cofactors; zeros where there is none."""
    p, q, r = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * p + b * q + c * r
    if abs(determinant) < 1e-30:
        return 0.0, 0.0, 0.0
    u, v, w = a * f - c * c, b * c - a * e, a * d - b * b
    return (
        (p * x + q * y + r * z) / determinant,
        (q * x + u * y + v * z) / determinant,
        (r * x + v * y + w * z) / determinant,
    )


@njit(nogil=True, cache=True)
def oriented(images, places, max_orientations):
    """Keypoints (N, 4) float32 of one octave, in its pixels: x, y, sigma, angle, a row for each orientation.

    images (LEVELS, H, W) float32, levels 0 on; places as `refined` gives them.
    """
    out, n = np.empty((len(places) * max(1, min(max_orientations, 4)), 4), np.float32), 0
    histogram, angles = np.empty(BINS, np.float64), np.empty(BINS // 2, np.float64)
    for k in range(len(places)):
        x, y, sigma = places[k, 0], places[k, 1], SIGMA_0 * 2 ** (places[k, 2] / LEVELS)
        count = 1
        angles[0] = 0.0
        if max_orientations > 0:
            _directions(images[int(places[k, 3])], x, y, sigma, histogram)
            count = min(_peaks(histogram, angles), max_orientations)
        for i in range(count):
            out[n, 0], out[n, 1], out[n, 2], out[n, 3] = x, y, sigma, angles[i]
            n += 1
    return out[:n]


@njit(nogil=True, cache=True)
def _directions(image, x, y, sigma, histogram):
    """Fill the histogram (BINS,) of gradients around a keypoint, and smooth it."""
    height, width = image.shape
    radius = max(int(3 * WINDOW * sigma), 1)
    left_end, right_end = max(int(x + 0.5) - radius, 0), min(int(x + 0.5) + radius, width - 1)
    narrow = -0.5 / (WINDOW * sigma) ** 2  # the window is a product of one along x and one along y
    across = np.exp(narrow * (np.arange(left_end, right_end + 1) - x) ** 2)
    histogram[:] = 0
    for j in range(max(int(y + 0.5) - radius, 0), min(int(y + 0.5) + radius, height - 1) + 1):
        above, below = max(j - 1, 0), min(j + 1, height - 1)
        down = math.exp(narrow * (j - y) ** 2)
        for i in range(left_end, right_end + 1):
            square = (i - x) ** 2 + (j - y) ** 2
            if square < radius * radius + 0.6:
                left, right = max(i - 1, 0), min(i + 1, width - 1)
                gx = (image[j, right] - image[j, left]) / (right - left)
                gy = (image[below, i] - image[above, i]) / (below - above)
                weight = math.sqrt(gx * gx + gy * gy) * across[i - left_end] * down
                place = _angle(gx, gy) * (BINS / (2 * math.pi)) - 0.5 + BINS
                first = int(place)
                share = place - first
                histogram[first % BINS] += (1 - share) * weight
                histogram[(first + 1) % BINS] += share * weight
    for _ in range(6):
        first, before = histogram[0], histogram[BINS - 1]
        for i in range(BINS):
            here, after = histogram[i], first if i == BINS - 1 else histogram[i + 1]
            histogram[i] = (before + here + after) / 3
            before = here


@njit(nogil=True, cache=True, inline="always")
def _angle(x, y):
    """atan2(y, x) within 0.01 rad, a few times as fast: the cubic that VLFeat takes."""
    up = abs(y) + 1e-12
    ratio = (x - up) / (x + up) if x >= 0 else (x + up) / (up - x)
    angle = (0.1821 * ratio * ratio - 0.9675) * ratio + (math.pi / 4 if x >= 0 else 3 * math.pi / 4)
    return angle if y >= 0 else -angle


@njit(nogil=True, cache=True)
def _peaks(histogram, angles):
    """Put the angles of the high peaks, between the bins, into `angles`; how many there are."""
    enough, n = PEAK * histogram.max(), 0
    for i in range(BINS):
        here, before, after = histogram[i], histogram[i - 1], histogram[(i + 1) % BINS]
        if here > enough and here > before and here > after and n < 4:
            top = (before - after) / 2 / (before + after - 2 * here)
            angles[n] = (i + 0.5 + top) * (2 * math.pi / BINS)
            n += 1
    return n
