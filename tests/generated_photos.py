"""Small colour photos whose content is known."""

import numpy as np
from scipy.ndimage import gaussian_filter

SIZE = (240, 200)


def textured(seed: int, size=SIZE) -> np.ndarray:
    """A colour photo of blobs of all sizes, no two alike."""
    rng = np.random.default_rng(seed)
    shape = size[1], size[0], 3
    layers = [gaussian_filter(rng.normal(size=shape), (s, s, 0)) * s**1.3 for s in (1, 2, 4, 8)]
    photo = sum(layers)
    return (128 + 45 * photo / photo.std()).clip(0, 255).astype(np.uint8)


def blobs(centres, size=SIZE, sigma=3.0) -> np.ndarray:
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    light = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)) for cx, cy in centres)
    return np.repeat(np.rint(200 * light)[..., None], 3, 2).astype(np.uint8)


def centroid(photo, near, reach=14) -> np.ndarray:
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]] + 0.5
    weight = photo.astype(float).mean(2) * (np.hypot(x - near[0], y - near[1]) < reach)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
