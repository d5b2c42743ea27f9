"""What features do with photos and given keypoints before they look: another size, and the checks."""

import numpy as np
import PIL.Image

from localize.types import InputError


def resized(photo: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo (H, W) or (H, W, 3) uint8 at this multiple of its size, and the factors (x, y) float32 from its pixels
    to the original ones, which rounding makes differ."""
    height, width = photo.shape[:2]
    if factor != 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        photo = np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.LANCZOS))
    return photo, np.array([width / photo.shape[1], height / photo.shape[0]], np.float32)


def checked_shapes(keypoints, scales, orientations) -> np.ndarray:
    """(N, 4) float32: x, y, scale and orientation; InputError where they do not fit together or are not finite."""
    parts = [np.asarray(part, np.float32) for part in (keypoints, scales, orientations)]
    n = parts[1].size
    if [part.shape for part in parts] != [(n, 2), (n,), (n,)]:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise InputError(f"keypoints, scales and orientations have shapes {shapes}, but must be (N, 2), (N,), (N,)")
    shape = np.column_stack(parts)
    broken = np.flatnonzero(~np.isfinite(shape).all(1))
    if len(broken):
        raise InputError(
            f"{len(broken)} of {n} keypoints hold NaN or infinite values, first row {broken[0]} (x, y, scale, "
            f"orientation: {', '.join(map(str, shape[broken[0]]))}); mend or remove them where they come from"
        )
    return shape
