"""What features check of given keypoints before they look."""

import numpy as np

from localize.types import InputError


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
