"""The nearest of two photos' binary codes to each other, both ways in one pass over all pairs.

A popcount costs less than the 256 multiplications of a dot product, and 32 codes are compared at once
(`vector_code`). What is found is a shortlist: real values decide.
"""

import numpy as np
from numba import njit

from localize.kernels.codes import in_blocks, pack_codes
from localize.kernels.rows import as_stored
from localize.kernels.vector_code import BLOCK, near_16_bytes, near_32_bytes, popcount, trailing_zeros

MAX_BITS = 256  # a distance is added up in a byte
TILE = 16  # blocks that stay in the first-level cache while all queries pass
SHIFT, POSITION = 32, (1 << 32) - 1  # a key is distance << SHIFT | row
NONE = 1 << 62


def sign_codes(descriptors: np.ndarray) -> np.ndarray:
    """The signs (N, words) uint64 of descriptors (N, D) of at most 256 values; a bit is whether the value is > 0."""
    codes = np.empty((len(descriptors), 2 if descriptors.shape[1] <= MAX_BITS // 2 else 4), np.uint64)
    pack_codes(*as_stored(descriptors), np.zeros(descriptors.shape[1], np.float32), codes)
    return codes


def nearest_codes(first: np.ndarray, second: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the second that are nearest to each of the first (N, keep), and the other way (M, keep), int32.

    first (N, words), second (M, words) uint64, as `sign_codes` gives them. Nearest first by Hamming distance, of equal
    ones the smaller row; -1: there are no more.
    """
    keys, keys_back = np.full((len(first), keep), NONE), np.full((len(second), keep), NONE)
    scan_codes(first, first.reshape(-1).view(np.uint8), second, in_blocks(second), keys, keys_back)
    near, near_back = (np.where(k == NONE, -1, k & POSITION).astype(np.int32) for k in (keys, keys_back))
    return near, near_back


@njit(nogil=True, cache=True)
def scan_codes(first, first_bytes, second, blocks, keys, keys_back):
    """Fill keys (N, K) and keys_back (M, K) int64 with the nearest codes of the other photo, ascending.

    They come filled with NONE. first (N, words), second (M, words) uint64; first_bytes: the first's, flat uint8;
    blocks: the second's, as `in_blocks` gives them.
    """
    words, flat = first.shape[1], blocks.reshape(-1)
    limits, limits_back = np.full(len(first), 255, np.int64), np.full(BLOCK * len(blocks), 255, np.uint8)
    for start in range(0, len(blocks), TILE):
        for i in range(len(first)):
            for block in range(start, min(start + TILE, len(blocks))):
                at, lanes = 8 * words * BLOCK * block, BLOCK * block
                if words == 4:
                    near = near_32_bytes(flat, at, first_bytes, 32 * i, limits_back, lanes, limits[i])
                else:
                    near = near_16_bytes(flat, at, first_bytes, 16 * i, limits_back, lanes, limits[i])
                while near:
                    j = lanes + np.int64(trailing_zeros(near))
                    near &= near - np.uint64(1)
                    if j < len(second):
                        distance = _distance(first, i, second, j)
                        limits[i] = _keep(keys, i, distance, j)
                        limits_back[j] = _keep(keys_back, j, distance, i)


@njit(nogil=True, cache=True, inline="always")
def _distance(first, i, second, j):
    ones = np.uint64(0)
    for w in range(first.shape[1]):
        ones += popcount(first[i, w] ^ second[j, w])
    return np.int64(ones)


@njit(nogil=True, cache=True, inline="always")
def _keep(keys, i, distance, row):
    """Take a row among the nearest keys[i], if it is one; the largest distance, in a byte, of the next to be taken."""
    key, k = distance << SHIFT | row, keys.shape[1] - 1
    if key < keys[i, k]:
        while k > 0 and keys[i, k - 1] > key:
            keys[i, k] = keys[i, k - 1]
            k -= 1
        keys[i, k] = key
    return max(0, min(255, (keys[i, keys.shape[1] - 1] >> SHIFT) - 1))
