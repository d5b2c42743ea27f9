"""Matches between two images: mutual nearest neighbours that pass the ratio test."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import USUAL, check_component
from localize.kernels.nearest import best_two_columns
from localize.types import Features, PairMatches

BLOCK = 1024  # rows of the similarity matrix at a time


@dataclass(frozen=True)
class MutualNearest:
    """Mutual nearest neighbours (Euclidean on unit descriptors) with Lowe's ratio test (IJCV 2004)."""

    ratio: float | None = None  # nearest < ratio * second nearest; 1: no test; None: what suits the feature, or 0.8
    max_distance: float = 1.0  # between unit descriptors

    VERSION: ClassVar[int] = 1
    SUITED: ClassVar[dict] = {"ratio": "pair_ratio"}

    def __post_init__(self):
        check_component(self, positive=("ratio", "max_distance"))

    def match(self, first: Features, second: Features) -> PairMatches:
        """Matches (M, 2) ascending by the first image's keypoint."""
        if not len(first) or not len(second):
            return PairMatches(np.zeros((0, 2), np.int32))
        a, b = first.descriptors.astype(np.float32), second.descriptors.astype(np.float32)
        best, runner_up = np.empty((2, len(a)), np.float32)
        column = np.empty(len(a), np.int32)
        column_best = np.full(len(b), -np.inf, np.float32)
        column_best_row = np.full(len(b), -1, np.int32)
        for at in range(0, len(a), BLOCK):
            block = slice(at, at + BLOCK)
            best_two_columns(
                a[block] @ b.T, at, best[block], column[block], runner_up[block], column_best, column_best_row
            )
        d1, d2 = (np.sqrt(np.maximum(0, 2 - 2 * s)) for s in (best, runner_up))
        keep = (column_best_row[column] == np.arange(len(a))) & (d1 <= self.max_distance)
        ratio = self.ratio or USUAL.pair_ratio
        if ratio < 1:
            keep &= d1 < ratio * d2
        rows = np.flatnonzero(keep)
        return PairMatches(np.column_stack([rows, column[rows]]))
