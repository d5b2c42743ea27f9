"""The scale space of SIFT: a photo smoothed step by step, at half the size in each octave.

Lowe, IJCV 2004, section 3; Vedaldi & Fulkerson, "VLFeat", 2008 (vl_sift, followed in all that changes the numbers).
"""

import math

import numpy as np
from numba import njit

PHOTO_BLUR = 0.5  # sigma in px that a photo is taken to have
LEVELS = 3  # per octave
SIGMA_0 = 1.6 * 2 ** (1 / LEVELS)  # px of its octave, of level 0; level s has SIGMA_0 2^(s / LEVELS)


def scale_space(photo: np.ndarray, first_octave: int, last_octave: int, last_level: int = LEVELS - 1):
    """Yield (octave, images (last_level + 2, H, W)): levels -1 to last_level, each smoothed from the one before.

    photo (H, W) uint8, images float32 of grey values in 0..1. first_octave: -1 doubles both sides of the photo first.
    """
    image, blur = resized(photo.astype(np.float32) / np.float32(255), first_octave), PHOTO_BLUR * 2.0**-first_octave
    for octave in range(first_octave, last_octave + 1):
        images = np.empty((last_level + 2, *image.shape), np.float32)
        for level, out in enumerate(images, -1):
            wanted = SIGMA_0 * 2 ** (level / LEVELS)
            if wanted > blur * (1 + 1e-9):
                smooth(image, gaussian(math.sqrt(wanted**2 - blur**2)), out)
                blur = wanted
            else:
                out[:] = image
            image = out
        yield octave, images
        # the octave's last level again, at half the size, is level -1 of the next one
        image, blur = _every(2, images[LEVELS]), SIGMA_0 * 2 ** (-1 / LEVELS)


def gaussian(sigma: float) -> np.ndarray:
    """Weights (2R + 1,) float32 that sum to 1, R = 4 sigma rounded up."""
    radius = math.ceil(4 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def resized(image, octave):
    """The photo enlarged twice per negative octave (linear), or every second pixel per positive one."""
    for _ in range(-octave):
        image = _doubled(_doubled(image).T).T
    return _every(2 ** max(octave, 0), image)


def _every(step, image):
    """Every step-th pixel of both axes, of whole steps only."""
    height, width = image.shape
    return np.ascontiguousarray(image[: height // step * step : step, : width // step * step : step])


def _doubled(image):
    """(H, W) to (2H, W): between two rows their mean, after the last one itself again."""
    out = np.repeat(image, 2, axis=0)
    out[1:-1:2] = (image[:-1] + image[1:]) / 2
    return out


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def smooth(image, weights, out):
    """Convolve (H, W) float32 with weights (2R + 1,) along both axes, into `out`; its border goes on outside."""
    height, width = image.shape
    radius = len(weights) // 2
    line = np.empty(width + 2 * radius, np.float32)
    for y in range(height):
        line[:] = 0
        inside = line[radius : radius + width]
        for i in range(len(weights)):
            row = image[min(max(y + i - radius, 0), height - 1)]
            for x in range(width):
                inside[x] += weights[i] * row[x]
        line[:radius] = inside[0]
        line[radius + width :] = inside[width - 1]
        result = out[y]
        result[:] = 0
        for i in range(len(weights)):
            shifted = line[i : i + width]
            for x in range(width):
                result[x] += weights[i] * shifted[x]
