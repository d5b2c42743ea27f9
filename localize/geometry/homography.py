"""Homographies: where they take points."""

import numpy as np


def apply(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Where the homography takes (N, 2)."""
    moved = np.column_stack([xy, np.ones(len(xy))]) @ homography.T
    return moved[:, :2] / moved[:, 2:]
