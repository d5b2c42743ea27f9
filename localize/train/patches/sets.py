"""Patches of points: what descriptors of patches are trained and validated on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from localize.io.benchmarks.phototour import SIDE
from localize.kernels.patches import FLAT, extract_patches
from localize.train.photos.homographies import Keypoints
from localize.types import InputError
from localize.types.checks import check_array


@dataclass(frozen=True, eq=False)
class PatchSet:
    """Patches with the point each of them shows; two patches match if they show the same point."""

    patches: np.ndarray  # (N, S, S) uint8
    points: np.ndarray  # (N,) int64

    def __post_init__(self):
        n = len(check_array(self, "patches", np.uint8, (None, None, None)))
        check_array(self, "points", np.int64, (n,))

    def __len__(self) -> int:
        return len(self.points)


def joined(sets: Iterable[PatchSet]) -> PatchSet:
    """One set of several, whose points stay apart."""
    sets = list(sets)
    if not sets:
        raise InputError("no patches were given")
    offsets = np.cumsum([0, *(int(s.points.max(initial=-1)) + 1 for s in sets[:-1])])
    return PatchSet(
        np.concatenate([s.patches for s in sets]),
        np.concatenate([s.points + o for s, o in zip(sets, offsets, strict=True)]),
    )


def trainable(patches: PatchSet, *columns: np.ndarray) -> tuple:
    """(patches, *columns) without patches that show nothing, and without points then left with one patch."""
    low, high = patches.patches.min((1, 2)), patches.patches.max((1, 2))
    flat = low == high  # whole numbers: any other patch up to 99 px has a standard deviation above FLAT
    _, which, count = np.unique(patches.points[~flat], return_inverse=True, return_counts=True)
    rows = np.flatnonzero(~flat)[count[which] >= 2]
    return PatchSet(patches.patches[rows], patches.points[rows]), *(column[rows] for column in columns)


def stretched(patches: np.ndarray) -> np.ndarray:
    """(N, S, S) uint8 of grey values (N, S, S): each patch from black to white, so that a dark one keeps its steps.

    Networks normalise each patch and SIFT its histogram, so neither minds. Patches flatter than FLAT become 0.
    """
    low, high = (f(patches, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    flat = patches.std((1, 2), keepdims=True) < FLAT
    grown = (patches - low) * (255 / np.maximum(high - low, FLAT))
    return np.where(flat, 0, np.rint(grown)).astype(np.uint8)


def cut(photo: np.ndarray, places: Keypoints, coefficient: float) -> tuple[np.ndarray, np.ndarray]:
    """Patches (M, 64, 64) float32 of a grey photo (H, W), and the places' rows (M,) they are of; those that leave it
    have none."""
    shape = places.xy, places.scales, places.orientations
    return extract_patches(photo, *shape, coefficient=coefficient, side=SIDE)
