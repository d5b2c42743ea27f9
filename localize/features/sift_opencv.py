"""SIFT keypoints by OpenCV, in the convention of COLMAP: five times as fast as pycolmap, and without descriptors.

Lowe, IJCV 2004. Both libraries look for the same extrema: of 99 in 100 keypoints that OpenCV finds, pycolmap finds one
at the same place and of the same scale to a hundredth.
"""

import numpy as np

from localize.kernels.threads import allowed_threads

LEVELS = 3  # per octave
SIGMA = 1.6  # px of its octave, of the first level


def opencv_keypoints(
    photo: np.ndarray, peak_threshold: float, edge_threshold: float, max_orientations: int
) -> np.ndarray:
    """Keypoints (N, 4) float32 of a grey photo (H, W) uint8: x, y px, sigma px, angle rad, 0 to the right, +pi/2 down.

    The first pixel's centre is (0.5, 0.5). The photo is enlarged twice first. A keypoint of several orientations has a
    row for each of the first max_orientations ones, by angle.
    """
    import cv2  # a tenth of a second: only where it is used

    cv2.setNumThreads(allowed_threads())  # it has threads of its own, which a stage's workers must not multiply
    # OpenCV shares the threshold among the levels; without the precise upscale keypoints lie a quarter pixel off
    sift = cv2.SIFT_create(0, LEVELS, LEVELS * peak_threshold, edge_threshold, SIGMA, enable_precise_upscale=True)
    rows = [(*k.pt, k.size / 2, k.angle) for k in sift.detect(photo, None)]  # size is a diameter, angle in degrees
    found = np.array(rows, np.float64).reshape(-1, 4)
    found[:, :2] += 0.5
    found[:, 3] = np.remainder(np.deg2rad(found[:, 3]) + np.pi, 2 * np.pi) - np.pi
    return _first_orientations(found, max_orientations).astype(np.float32)


def _first_orientations(found: np.ndarray, most: int) -> np.ndarray:
    """The rows sorted by place, scale and angle, and of those that differ by the angle alone the first ones."""
    found = found[np.lexsort(found.T[::-1])]
    new = np.ones(len(found), bool)
    new[1:] = (found[1:, :3] != found[:-1, :3]).any(1)
    first = np.flatnonzero(new)
    return found[np.arange(len(found)) - np.repeat(first, np.diff([*first, len(found)])) < most]
