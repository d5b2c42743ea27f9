"""Aggregated selective match kernels with signs: alike are images whose features of a visual word have like residuals.

ASMK*: Tolias, Avrithis & Jegou, "Image search with selective match kernels: aggregation across single and multiple
images", IJCV 2016, section 5; the settings and details are those of HOW's authors (Tolias, Jenicek & Chum, ECCV 2020,
code asmk). Arrays in, arrays out; centers are the visual words (K, D).
"""

from collections.abc import Sequence

import faiss
import numpy as np
from numba import njit

from localize.kernels.hamming import MAX_BITS, sign_codes
from localize.kernels.vector_code import popcount


def nearest_words(descriptors: np.ndarray, centers: np.ndarray, number: int = 1) -> np.ndarray:
    """(N, A) int64: the words nearest to each of the descriptors (N, D) float32; A = number, or K if less."""
    number = min(number, len(centers))
    if not len(descriptors):
        return np.zeros((0, number), np.int64)
    return faiss.knn(np.ascontiguousarray(descriptors), np.ascontiguousarray(centers), number)[1]


def count_words(descriptors: np.ndarray, centers: np.ndarray) -> int:
    """The visual words among an image's descriptors (N, D): C_X, the number of vectors that ASMK keeps of it.

    The fewer, the burstier: the more of its features show the same.
    """
    return len(np.unique(nearest_words(descriptors, centers)))


def aggregated(descriptors: np.ndarray, centers: np.ndarray, number: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(words (M,) int32, ascending, codes (M, W) uint64) of one image's descriptors (N, D), D <= 256.

    A code is the signs of the sum of the residuals to a word over the descriptors that have it among their `number`
    nearest; a bit is whether a value is > 0.
    """
    words = nearest_words(descriptors, centers, number)
    order = np.argsort(words, axis=None, kind="stable")
    rows, flat = order // max(1, words.shape[1]), words.reshape(-1)[order]
    first = np.flatnonzero(np.diff(flat, prepend=-1))
    sums = np.zeros((0, centers.shape[1]), np.float32)
    if len(first):
        residuals = descriptors[rows].astype(np.float64) - centers[flat]
        sums = np.add.reduceat(residuals, first).astype(np.float32)
    return flat[first].astype(np.int32), sign_codes(sums)


class InvertedFile:
    """Which images have a visual word, and with which code; images are numbers from 0."""

    def __init__(self, words: Sequence[np.ndarray], codes: Sequence[np.ndarray]):
        """words, codes: of each image, as `aggregated` gives them."""
        self.counts = np.array([len(of) for of in words], np.int64)
        everything = np.concatenate([np.zeros(0, np.int32), *words])
        order = np.argsort(everything, kind="stable")
        self.words, at = np.unique(everything[order], return_index=True)  # ascending, and where each begins
        self.starts = np.append(at, len(order))
        self.owners = np.repeat(np.arange(len(self.counts)), self.counts)[order]
        self.codes = np.concatenate([np.zeros((0, codes[0].shape[1] if codes else 2), np.uint64), *codes])[order]

    def similarities(
        self, words: np.ndarray, codes: np.ndarray, num_bits: int, exponent: float, threshold: float
    ) -> np.ndarray:
        """(images,) float64, 0 to 1: how alike each image is to one with these words (M,) and codes (M, W).

        num_bits: D. The sum of s^exponent over common words, s = 1 - 2 d / D >= threshold >= 0 for codes that differ in
        d bits, over the root of the product of both images' numbers of words.
        """
        s = 1 - 2 * np.arange(MAX_BITS + 1) / num_bits
        worth = np.where(s >= threshold, np.maximum(s, 0) ** exponent, 0)
        places = np.searchsorted(self.words, words)
        common = places < len(self.words)
        common[common] = self.words[places[common]] == words[common]
        found = np.zeros(len(self.counts))
        _add_similarities(places[common], codes[common], self.starts, self.owners, self.codes, worth, found)
        return found / np.sqrt(np.maximum(1, self.counts) * max(1, len(words)))


@njit(nogil=True, cache=True)
def _add_similarities(places, codes, starts, owners, stored, worth, found):
    """Add to found (images,) the worth (bits + 1,) of the distance of each code to those stored at its place."""
    for i in range(len(places)):
        for entry in range(starts[places[i]], starts[places[i] + 1]):
            ones = np.uint64(0)
            for w in range(codes.shape[1]):
                ones += popcount(codes[i, w] ^ stored[entry, w])
            found[owners[entry]] += worth[np.int64(ones)]
