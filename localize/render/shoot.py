"""One photo: render its view, or the views along its exposure, and develop it."""

import zlib

import numpy as np

from localize.render.film import denoised, developed, distorted, distorted_depth, pinhole_for
from localize.render.light import LIGHTS
from localize.render.views import View, exposure_poses

BLUR_POSES = 6


def photograph(renderer, view: View, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(photo (h, w, 3) uint8, depth (h, w) in metres) of one view; the same for the same seed."""
    focal, size = pinhole_for(view.camera)
    number = zlib.crc32(view.name.encode())
    rng = np.random.default_rng([seed, number])
    light = LIGHTS[view.condition]
    count = samples * light.samples
    poses = exposure_poses(view, BLUR_POSES)
    pinhole = renderer.render(poses[0], focal, size, count, seed * 1000 + number % 997)
    depth = distorted_depth(pinhole[..., 12], view.camera)
    if len(poses) > 1:  # light and colour are averaged over the exposure; depth and normals are those of its middle
        each = max(1, round(1.5 * count / (len(poses) - 1)))
        moved = [renderer.render(p, focal, size, each, seed * 1000 + i) for i, p in enumerate(poses[1:])]
        pinhole = np.concatenate([np.mean([m[..., :9] for m in moved], 0), pinhole[..., 9:]], -1)
    flat = distorted(pinhole, view.camera)
    normal = flat[..., 9:12] / np.maximum(np.linalg.norm(flat[..., 9:12], axis=-1, keepdims=True), 1e-6)
    soft = denoised(flat[..., 3:6], flat[..., 6:9], normal, flat[..., 12], view.camera, light.filter_steps)
    return developed(flat[..., :3] + soft, depth, light, rng), depth
