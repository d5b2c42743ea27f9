"""Matches between two images: mutual nearest neighbours that pass the ratio test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import USUAL, check_component
from localize.kernels import gpu
from localize.kernels.hamming import MAX_BITS, nearest_codes, sign_codes
from localize.kernels.nearest import best_two_columns
from localize.kernels.rows import as_stored
from localize.kernels.scan import compared_again
from localize.types import Features, PairMatches

BLOCK = 1024  # rows of the similarity matrix at a time


@dataclass(frozen=True)
class MutualNearest:
    """Mutual nearest neighbours (Euclidean on unit descriptors) with Lowe's ratio test (IJCV 2004).

    Where the signs of descriptors are bits made to be compared, as CRBNet's, the few nearest by Hamming distance are
    chosen, and only these are compared by their real values: nearly the same matches in a fifth of the time.
    """

    ratio: float | None = None  # nearest < ratio * second nearest; 1: no test; None: what suits the feature, or 0.8
    max_distance: float = 1.0  # between unit descriptors
    by_bits: bool | None = None  # descriptors of up to 256 values by their signs first; None: what suits the feature
    num_scored: int = 8  # nearest by bits that are compared by their real values
    device: str = "auto"  # that compares values: cpu, cuda, or cuda where there is one; bits are compared on the CPU

    VERSION: ClassVar[int] = 1
    SUITED: ClassVar[dict] = {"ratio": "pair_ratio", "by_bits": "sign_bits"}

    def __post_init__(self):
        check_component(
            self, positive=("ratio", "max_distance", "num_scored"), choices={"device": ("auto", "cpu", "cuda")}
        )

    def preflight(self) -> list[str]:
        """What is missing: a GPU, where one was asked for."""
        if self.device == "cuda" and not gpu.has_gpu():
            return ["pair_matching.device is cuda, but torch sees no GPU: take pair_matching.device=auto"]
        return []

    def match(self, first: Features, second: Features) -> PairMatches:
        """Matches (M, 2) ascending by the first image's keypoint."""
        if not len(first) or not len(second):
            return PairMatches(np.zeros((0, 2), np.int32))
        if self.by_bits and first.descriptors.shape[1] <= MAX_BITS:
            best, column, runner_up, row_of = _by_bits(first.descriptors, second.descriptors, self.num_scored)
        else:
            device = "cuda" if self.device == "cuda" or (self.device == "auto" and gpu.has_gpu()) else "cpu"
            best, column, runner_up, row_of = _by_values(first.descriptors, second.descriptors, device)
        rows = accepted(best, runner_up, self.max_distance, self.ratio)
        rows = rows[row_of(column[rows]) == rows]
        return PairMatches(np.column_stack([rows, column[rows]]))


def accepted(best: np.ndarray, runner_up: np.ndarray, max_distance: float, ratio: float | None) -> np.ndarray:
    """The rows whose most similar (N,) is near enough, and clearly nearer than the next (N,)."""
    d1, d2 = (np.sqrt(np.maximum(0, 2 - 2 * s)) for s in (best, runner_up))
    keep, ratio = d1 <= max_distance, ratio or USUAL.pair_ratio
    return np.flatnonzero(keep & (d1 < ratio * d2) if ratio < 1 else keep)


Found = tuple[np.ndarray, np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]
# Of each row (N,) the largest similarity, its column and the second largest; and the best rows (C,) of columns (C,).


def _by_values(first: np.ndarray, second: np.ndarray, device: str) -> Found:
    """All descriptors (N, D) against all (M, D)."""
    if device == "cuda":
        best, column, runner_up, row = gpu.best_two(first, second, device)
        return best, column, runner_up, lambda columns: row[columns]
    a, b = first.astype(np.float32), second.astype(np.float32)
    best, runner_up = np.empty((2, len(a)), np.float32)
    column = np.empty(len(a), np.int32)
    column_best, column_best_row = np.full(len(b), -np.inf, np.float32), np.full(len(b), -1, np.int32)
    for at in range(0, len(a), BLOCK):
        block = slice(at, at + BLOCK)
        best_two_columns(a[block] @ b.T, at, best[block], column[block], runner_up[block], column_best, column_best_row)
    return best, column, runner_up, lambda columns: column_best_row[columns]


def _by_bits(first: np.ndarray, second: np.ndarray, num_scored: int) -> Found:
    """Of each of the descriptors (N, D) the `num_scored` of (M, D) whose signs are nearest."""
    num = max(2, num_scored)  # the ratio test asks for the second nearest
    near, near_back = nearest_codes(sign_codes(first), sign_codes(second), num)
    best, column, runner_up = _scored(near, first, second)
    return best, column, runner_up, lambda columns: _scored(near_back[columns], second[columns], first)[1]


def _scored(near: np.ndarray, queries: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest similarity, its row and the second largest of each query (Q, D), among its rows near (Q, K), -1: none."""
    rows = np.arange(len(others), dtype=np.int32)
    return compared_again(near, queries.astype(np.float32), *as_stored(others), rows, rows)
