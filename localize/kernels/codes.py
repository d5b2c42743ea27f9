"""Real descriptors as binary codes, and as values along directions."""

import numpy as np
from numba import njit

from localize.kernels.rows import read_row
from localize.kernels.vector_code import BLOCK

AT_ONCE = 32  # rows projected together


@njit(nogil=True, cache=True)
def _pack(values, thresholds, code):
    """Bit k % 64 of word k // 64 is values[k] > thresholds[k]; bits beyond the last value are 0."""
    for w in range(code.shape[0]):
        word = np.uint64(0)
        for k in range(64 * w, min(64 * w + 64, values.shape[0])):
            word |= np.uint64(values[k] > thresholds[k]) << np.uint64(k - 64 * w)
        code[w] = word


@njit(nogil=True, cache=True)
def pack_codes(stored, half, thresholds, codes):
    """Codes (N, words) uint64 of rows (N, D), as `rows.as_stored` gives them."""
    bits = np.empty(stored.shape[1], np.uint32)
    values = bits.view(np.float32)
    for row in range(stored.shape[0]):
        read_row(stored[row], half, bits, values)
        _pack(values, thresholds, codes[row])


def in_blocks(codes: np.ndarray) -> np.ndarray:
    """Codes (N, words) uint64 as (B, 8 * words, BLOCK) uint8; what fills the last block up is 0."""
    size, width = -(-len(codes) // BLOCK) * BLOCK, 8 * codes.shape[1]
    padded = np.zeros((size, width), np.uint8)
    padded[: len(codes)] = codes.view(np.uint8)
    return np.ascontiguousarray(padded.reshape(-1, BLOCK, width).transpose(0, 2, 1))


@njit(nogil=True, cache=True, fastmath={"contract"})
def project_rows(stored, half, rotation, projected):
    """Rows (N, D), as `rows.as_stored` gives them, times rotation (D, K) float32, into projected (N, K) float32.

    Added up in the order of the D values: a row's result does not depend on the others it comes with, as BLAS's may.
    Some rows at a time, for which a part of the rotation is in the nearest cache.
    """
    num, dim = stored.shape
    bits = np.empty((AT_ONCE, dim), np.uint32)
    values, whole = bits.view(np.float32), dim - dim % 4
    for first in range(0, num, AT_ONCE):
        here = min(AT_ONCE, num - first)
        for i in range(here):
            read_row(stored[first + i], half, bits[i], values[i])
        part = projected[first : first + here]
        part[:] = 0
        for d in range(0, whole, 4):
            for i in range(here):
                v0, v1, v2, v3 = values[i, d], values[i, d + 1], values[i, d + 2], values[i, d + 3]
                for k in range(rotation.shape[1]):
                    both = (part[i, k] + v0 * rotation[d, k]) + v1 * rotation[d + 1, k]
                    part[i, k] = (both + v2 * rotation[d + 2, k]) + v3 * rotation[d + 3, k]
        for d in range(whole, dim):
            for i in range(here):
                for k in range(rotation.shape[1]):
                    part[i, k] += values[i, d] * rotation[d, k]


@njit(nogil=True, cache=True)
def first_and_last_rows(point, first_row, last_row):
    """The first and the last row (P,) int32 of each point; -1 where it has none. point (M,)."""
    first_row[:] = -1
    last_row[:] = -1
    for row in range(point.shape[0]):
        if first_row[point[row]] < 0:
            first_row[point[row]] = row
        last_row[point[row]] = row
