"""Checks of local features that come from files of others: shapes, numbers, places inside the photo, unit length."""

import numpy as np

from localize.types import Features, InputError

_UNIT = 2e-3  # a unit vector stored in half precision is this near to unit length


def given_features(
    where: str,
    keypoints: np.ndarray,
    descriptors: np.ndarray,
    size: tuple[int, int],
    *,
    pixel_center: float = 0.0,
    scores: np.ndarray | None = None,
    scales: np.ndarray | None = None,
    orientations: np.ndarray | None = None,
) -> Features:
    """Features of a photo of `size` (width, height) px from arrays (N, 2) and (N, D), in our pixel convention.

    where: file and image, for sentences. pixel_center: where the file puts the centre of the first pixel. Scores are 1
    where there are none; descriptors are brought to unit length. Keypoints that half precision has put just outside the
    photo are moved onto its border. InputError for odd shapes, NaN, infinity, and keypoints outside.
    """
    n = len(keypoints) if keypoints.ndim else 0
    check_shape(where, "keypoints", keypoints, (n, 2))
    check_shape(where, "descriptors", descriptors, (n, descriptors.shape[1] if descriptors.ndim == 2 else 0))
    optional = {"scores": scores, "scales": scales, "orientations": orientations}
    for key, values in {"keypoints": keypoints, "descriptors": descriptors, **optional}.items():
        if values is not None:
            check_numbers(where, key, values)
        if key in optional and values is not None:
            check_shape(where, key, values, (n,))
    return Features(
        keypoints=_inside(where, keypoints.astype(np.float64) + (0.5 - pixel_center), *size),
        descriptors=unit_rows(descriptors),
        scores=np.ones(n) if scores is None else scores,
        scales=scales,
        orientations=orientations,
    )


def check_numbers(where: str, key: str, values: np.ndarray) -> None:
    """InputError unless these are finite numbers."""
    if not isinstance(values, np.ndarray | np.number) or values.dtype.kind not in "fiu":
        raise InputError(f"{where}: {key} are no numbers")
    if not np.isfinite(values).all():
        raise InputError(f"{where}: {key} hold NaN or infinite values")


def check_shape(where: str, key: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    """InputError for another shape."""
    if values.shape != shape:
        raise InputError(f"{where}: {key} have shape {values.shape}, but expected {shape}")


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (N, D) of unit length; those that are so already stay bit for bit."""
    if rows.dtype not in (np.float16, np.float32):
        rows = rows.astype(np.float32)
    length = np.linalg.norm(rows.astype(np.float32), axis=1, keepdims=True)
    if (np.abs(length - 1) <= _UNIT).all():
        return np.ascontiguousarray(rows)
    return np.ascontiguousarray((rows / np.maximum(length, 1e-12)).astype(rows.dtype))


def _inside(where: str, xy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Positions (N, 2) on the image; InputError for one that no rounding to half precision explains."""
    size = np.array([width, height])
    slack = max(1.0, float(np.spacing(np.float16(size.max()))))
    outside = ((xy < -slack) | (xy > size + slack)).any(1)
    if outside.any():
        x, y = xy[outside][0]
        raise InputError(f"{where}: keypoint ({x:.1f}, {y:.1f}) px lies outside the photo of {width} x {height} px")
    return np.clip(xy, 0, size)
