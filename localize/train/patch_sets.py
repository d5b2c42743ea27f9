"""Patches of points: what descriptors of patches are trained and validated on."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from localize.types import InputError
from localize.types.checks import check_array

STORED_SIDE = 64  # px on disk, as in UBC PhotoTour
MIN_STD = 1e-2  # of grey values 0..255; a flatter patch says nothing


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
    flat = low == high  # whole numbers: any other patch up to 99 px has a standard deviation above MIN_STD
    _, which, count = np.unique(patches.points[~flat], return_inverse=True, return_counts=True)
    rows = np.flatnonzero(~flat)[count[which] >= 2]
    return PatchSet(patches.patches[rows], patches.points[rows]), *(column[rows] for column in columns)


def stretched(patches: np.ndarray) -> np.ndarray:
    """(N, S, S) uint8 of grey values (N, S, S): each patch from black to white, so that a dark one keeps its steps.

    Networks normalise each patch and SIFT its histogram, so neither minds. Patches flatter than MIN_STD become 0.
    """
    low, high = (f(patches, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    flat = patches.std((1, 2), keepdims=True) < MIN_STD
    grown = (patches - low) * (255 / np.maximum(high - low, MIN_STD))
    return np.where(flat, 0, np.rint(grown)).astype(np.uint8)
