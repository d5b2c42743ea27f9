"""Real descriptors as binary codes, and what a test on a bit costs a query."""

import numpy as np
from numba import njit

from localize.kernels.rows import read_row
from localize.kernels.vector_code import BLOCK


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


@njit(nogil=True, cache=True)
def project_rows(stored, half, rotation, projected):
    """Rows (N, D), as `rows.as_stored` gives them, times rotation (D, K) float32, into projected (N, K) float32.

    Added up in the order of the D values: a row's result does not depend on the others it comes with, as BLAS's may.
    """
    bits = np.empty(stored.shape[1], np.uint32)
    values = bits.view(np.float32)
    for row in range(stored.shape[0]):
        read_row(stored[row], half, bits, values)
        projected[row] = 0
        for d in range(values.shape[0]):
            if values[d] != 0:
                for k in range(rotation.shape[1]):
                    projected[row, k] += values[d] * rotation[d, k]


@njit(nogil=True, cache=True)
def flip_codes(stored, half, thresholds, first_row, last_row, flips):
    """The bits (P, words) uint64 in which each point's first and last row (P,) differ."""
    bits = np.empty(stored.shape[1], np.uint32)
    values = bits.view(np.float32)
    code = np.empty(flips.shape[1], np.uint64)
    for point in range(first_row.shape[0]):
        if first_row[point] == last_row[point]:
            continue
        read_row(stored[first_row[point]], half, bits, values)
        _pack(values, thresholds, flips[point])
        read_row(stored[last_row[point]], half, bits, values)
        _pack(values, thresholds, code)
        for w in range(code.shape[0]):
            flips[point, w] ^= code[w]


@njit(nogil=True, cache=True)
def first_and_last_rows(point, first_row, last_row):
    """The first and the last row (P,) int32 of each point; -1 where it has none. point (M,)."""
    first_row[:] = -1
    last_row[:] = -1
    for row in range(point.shape[0]):
        if first_row[point[row]] < 0:
            first_row[point[row]] = row
        last_row[point[row]] = row


@njit(nogil=True, cache=True)
def costs_of_tests(descriptors, thresholds, mean, sigma, grid, start, step, costs):
    """Costs (Q, 2 D) int32 of the 0 and the 1 side of a test on each dimension k, at 2 k and 2 k + 1.

    grid (G,) int32: the cost of the 1 side at z = start + i * step; z = (value + mean - threshold) / sigma.
    """
    for q in range(descriptors.shape[0]):
        for k in range(descriptors.shape[1]):
            z = (descriptors[q, k] - thresholds[k] + mean) / sigma
            costs[q, 2 * k] = grid[_place(-z, start, step, grid.shape[0])]
            costs[q, 2 * k + 1] = grid[_place(z, start, step, grid.shape[0])]


@njit(nogil=True, cache=True, inline="always")
def _place(z, start, step, size):
    return np.int64(min(max((z - start) / step, 0.0), size - 1.0) + 0.5)
