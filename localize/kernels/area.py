"""Photos shrunk by area: each new pixel is the mean of what it covers, whole and partial pixels alike."""

import numpy as np
import scipy.sparse


def shrunk_size(height: int, width: int, max_edge_px: int) -> tuple[int, int]:
    """Rows and columns of a photo of this size that `shrunk_by_area` made."""
    scale = min(1.0, max_edge_px / max(height, width, 1))
    return (height, width) if scale == 1 else (max(1, round(height * scale)), max(1, round(width * scale)))


def shrunk_by_area(photo: np.ndarray, max_edge_px: int) -> np.ndarray:
    """The photo (H, W, 3) with a longer side of at most `max_edge_px`, float32, not rounded; never enlarged.

    The sides are rounded to the nearest pixel, as hloc does.
    """
    height, width = photo.shape[:2]
    rows, columns = shrunk_size(height, width, max_edge_px)
    pixels = photo.astype(np.float32)
    if (rows, columns) == (height, width):
        return pixels
    pixels = (_coverage(height, rows) @ pixels.reshape(height, -1)).reshape(rows, width, -1)
    across = np.ascontiguousarray(pixels.swapaxes(0, 1)).reshape(width, -1)
    return np.ascontiguousarray((_coverage(width, columns) @ across).reshape(columns, rows, -1).swapaxes(0, 1))


def _coverage(old: int, new: int) -> scipy.sparse.csr_array:
    """(new, old) float32: which share of a new pixel each old one fills."""
    ratio = old / new
    starts = np.arange(new)[:, None] * ratio
    touched = np.floor(starts).astype(int) + np.arange(int(np.ceil(ratio)) + 1)
    shares = np.minimum(starts + ratio, touched + 1) - np.maximum(starts, touched)
    rows = np.broadcast_to(np.arange(new)[:, None], touched.shape)
    kept = (shares > 1e-9) & (touched < old)
    entries = (shares[kept] / ratio).astype(np.float32), (rows[kept], touched[kept])
    return scipy.sparse.csr_array(entries, shape=(new, old))
