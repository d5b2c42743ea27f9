"""RootSIFT and CRBNet on the same SIFT keypoints, and their matches between two photos."""

import dataclasses

import numpy as np

from localize.features.base import LocalFeature
from localize.features.sift import Sift
from localize.kernels.nearest import best_two_columns
from localize.kernels.patches import extract_patches
from localize.types import Features

RATIOS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)  # nearest / second nearest distance; 1 = no test
FIXED = (1.0, 0.8)  # without the test and with Lowe's: no choice of ours


def contenders(photo: np.ndarray, crbnet: LocalFeature | None) -> dict[str, Features]:
    """Features of a photo (H, W) by descriptor, all but the first on the same keypoints."""
    everything = Sift().extract(photo)
    at = everything.keypoints, everything.scales, everything.orientations
    if crbnet is None:
        return {"RootSIFT, all": everything, "RootSIFT": _rows(everything, extract_patches(photo, *at)[1])}
    described = crbnet.describe_at(photo, *at)
    kept = np.flatnonzero(described.descriptors.any(1))
    ours = _rows(described, kept)
    signs = np.where(ours.descriptors > 0, 1, -1) / np.float32(np.sqrt(ours.descriptors.shape[1]))
    bits = dataclasses.replace(ours, descriptors=signs.astype(np.float32))
    return {"RootSIFT, all": everything, "RootSIFT": _rows(everything, kept), "CRBNet": ours, "CRBNet bits": bits}


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(*(getattr(features, f.name)[rows] for f in dataclasses.fields(features)))


def matched(first: Features, second: Features) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """By ratio the positions (M, 2) px in both photos of the mutual nearest neighbours that pass its test.

    As matching.mutual does it, but all ratios at once, and with no largest distance: descriptors differ in that.
    """
    n, m = len(first), len(second)
    if not n or not m:
        return dict.fromkeys(RATIOS, (np.zeros((0, 2)), np.zeros((0, 2))))
    similarity = first.descriptors.astype(np.float32) @ second.descriptors.astype(np.float32).T
    best, runner_up = np.empty((2, n), np.float32)
    column, row_of_column = np.empty(n, np.int32), np.full(m, -1, np.int32)
    best_two_columns(similarity, 0, best, column, runner_up, np.full(m, -np.inf, np.float32), row_of_column)
    d1, d2 = (np.sqrt(np.maximum(0, 2 - 2 * s)) for s in (best, runner_up))
    mutual = row_of_column[column] == np.arange(n)
    found = {}
    for ratio in RATIOS:
        rows = np.flatnonzero(mutual & (d1 < ratio * d2) if ratio < 1 else mutual)
        found[ratio] = first.keypoints[rows].astype(float), second.keypoints[column[rows]].astype(float)
    return found
