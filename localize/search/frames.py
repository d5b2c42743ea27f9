"""Nearest points among what the retrieved frames see."""

import numpy as np

from localize.kernels.rows import as_stored
from localize.kernels.scan import computes_int8, scan_bits, scan_float32, scan_int8
from localize.types import FRAME, Nearest, PointRows

PRECISIONS = ("auto", "float32", "int8")
SMALL = 1 << 23  # comparisons that float32 makes sooner than torch is imported


def rows_in_frames(rows: PointRows, frames: np.ndarray, mode: str = "in_frames") -> np.ndarray:
    """Rows (F,) int32 ascending that the frames bring in; frames: indices of references, -1 = none.

    in_frames: the observations made in these frames. all_obs: every observation of the points seen in them.
    """
    spans = [np.arange(rows.image_indptr[i], rows.image_indptr[i + 1]) for i in sorted({int(f) for f in frames} - {-1})]
    found = np.concatenate(spans) if spans else np.zeros(0, np.int64)
    if mode == "all_obs":
        visible = np.zeros(len(rows.points), bool)
        visible[rows.point[found]] = True
        found = np.flatnonzero(visible[rows.point])
    return found.astype(np.int32)


def nearest_in_rows(rows: PointRows, frame_rows: np.ndarray, descriptors: np.ndarray, by: str = "auto") -> Nearest:
    """Nearest points of descriptors (Q, D) float32 among the rows (F,) that all of them are compared with.

    by: float32; int8 or bits, see `kernels.scan`; auto: int8 where the processor computes in it and the product is not
    small. The rows are read from where they lie, once.
    """
    if by == "auto":
        large = len(descriptors) * len(frame_rows) >= SMALL
        by = "int8" if large and computes_int8() else "float32"
    scan = {"float32": scan_float32, "int8": scan_int8, "bits": scan_bits}[by]
    point = np.asarray(rows.point[frame_rows])
    similarity, found, second = scan(descriptors, *as_stored(rows.descriptors), frame_rows, point)
    source = np.where(found >= 0, FRAME, 0).astype(np.uint8)
    return Nearest(similarity, found, second, source, float(len(frame_rows)))
