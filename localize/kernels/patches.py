"""Square patches of a photo at keypoints with scale and orientation: turned upright, resized, anti-aliased.

The parallel search paper, section 5.1: the side of the square is 13 times the keypoint's scale.
"""

import math

import numba
import numpy as np

_TAPS = np.exp(-0.5 * np.arange(-4, 5) ** 2.0)  # Gaussian, sigma 1 px
_TAPS = (_TAPS / _TAPS.sum()).astype(np.float32)
BOUNDARIES = ("drop", "replicate")
FLAT = 1e-2  # standard deviation of grey values 0..255 below which a patch shows nothing


def extract_patches(
    photo: np.ndarray,
    keypoints: np.ndarray,
    scales: np.ndarray,
    orientations: np.ndarray,
    *,
    coefficient: float = 13.0,
    side: int = 32,
    boundary: str = "drop",
) -> tuple[np.ndarray, np.ndarray]:
    """Patches (M, side, side) float32 in grey values, and the rows (M,) int64 of the keypoints they are of.

    photo (H, W) uint8 or float32; keypoints (N, 2) px, scales (N,) sigma in px, orientations (N,) rad, as in Features.
    The square has a side of `coefficient` * scale. A keypoint without a finite positive shape has no patch; one whose
    square leaves the photo has none either with boundary "drop", and with "replicate" the photo's edge goes on.
    """
    if boundary not in BOUNDARIES:
        raise ValueError(f"{boundary=}, but expected one of {', '.join(BOUNDARIES)}")
    shape = np.column_stack([keypoints, scales, orientations]).astype(np.float64).reshape(-1, 4)
    rows = np.flatnonzero(np.isfinite(shape).all(1) & (shape[:, 2] > 0))
    if boundary == "drop":
        height, width = photo.shape
        x, y, sigma, angle = shape[rows].T
        reach = coefficient / 2 * sigma * (np.abs(np.cos(angle)) + np.abs(np.sin(angle)))  # of the turned square
        rows = rows[(x >= reach) & (y >= reach) & (x + reach <= width) & (y + reach <= height)]
    steps = coefficient / side * shape[rows, 2]
    levels = np.floor(np.log2(np.maximum(steps, 1.0))).astype(np.int64)
    patches = np.empty((len(rows), side, side), np.float32)
    level, pixels = 0, np.ascontiguousarray(photo, np.float32)
    for wanted in range(levels.max(initial=-1) + 1):
        while level < wanted and min(pixels.shape) > 1:
            pixels, level = _half(pixels, _TAPS), level + 1
        of_level = np.flatnonzero(levels == wanted)
        _sample(pixels, 0.5**level, shape[rows[of_level]], steps[of_level], of_level, patches)
    return patches, rows


def halved(patches: np.ndarray) -> np.ndarray:
    """(N, S/2, S/2) uint8 of (N, S, S): bilinear, which at one half is the mean of 2 x 2."""
    p = patches.astype(np.uint16)
    return ((p[:, ::2, ::2] + p[:, 1::2, ::2] + p[:, ::2, 1::2] + p[:, 1::2, 1::2] + 2) // 4).astype(np.uint8)


@numba.njit(cache=True, fastmath=True)
def _half(photo, taps):
    """Gaussian blur of sigma 1, then every second pixel; the photo's edge goes on outside."""
    height, width = photo.shape
    reach = len(taps) // 2
    rows, columns = (height + 1) // 2, (width + 1) // 2
    out = np.empty((rows, columns), np.float32)
    line = np.empty(width + 2 * reach, np.float32)
    for i in range(rows):
        line[:] = 0
        for k in range(len(taps)):
            y = min(max(2 * i + k - reach, 0), height - 1)
            for x in range(width):
                line[reach + x] += taps[k] * photo[y, x]
        line[:reach] = line[reach]
        line[reach + width :] = line[reach + width - 1]
        for j in range(columns):
            total = np.float32(0)
            for k in range(len(taps)):
                total += taps[k] * line[2 * j + k]
            out[i, j] = total
    return out


@numba.njit(cache=True)
def _sample(pixels, shrunk, shape, steps, slots, out):
    """Bilinear samples of each turned grid; pixel (i, j) of this level lies at (i, j) / shrunk of the photo's array.

    A level keeps every second pixel of the one below, so its array positions are (X - 0.5) * shrunk: half a pixel of
    the photo off the formula for pixels that are means of 2 x 2.
    """
    height, width = pixels.shape
    side = out.shape[1]
    for n in range(len(shape)):
        x0, y0, angle = shape[n, 0] - 0.5, shape[n, 1] - 0.5, shape[n, 3]
        across, down = steps[n] * math.cos(angle), steps[n] * math.sin(angle)
        for i in range(side):
            v = i + 0.5 - side / 2
            for j in range(side):
                u = j + 0.5 - side / 2
                x = min(max((x0 + across * u - down * v) * shrunk, 0.0), width - 1.0)
                y = min(max((y0 + down * u + across * v) * shrunk, 0.0), height - 1.0)
                c, r = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
                c1, r1 = min(c + 1, width - 1), min(r + 1, height - 1)
                fx, fy = np.float32(x - c), np.float32(y - r)
                upper = pixels[r, c] + fx * (pixels[r, c1] - pixels[r, c])
                lower = pixels[r1, c] + fx * (pixels[r1, c1] - pixels[r1, c])
                out[slots[n], i, j] = upper + fy * (lower - upper)
