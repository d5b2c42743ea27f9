"""Descriptors read from where they lie, float16 or float32, a few rows at a time.

numba knows no float16: kernels get the bits as uint16. Each runs on one thread without the interpreter's lock.
"""

import numpy as np
from numba import njit

WIDENED = np.float32(2.0**112)  # the exponents of float16 and float32 count from 15 and 127


def as_stored(descriptors: np.ndarray) -> tuple[np.ndarray, bool]:
    """Descriptors (M, D) as the kernels read them, uint16 bits or float32, and whether they are bits; a view."""
    descriptors = np.asarray(descriptors)
    if descriptors.dtype == np.float16:
        return descriptors.view(np.uint16), True
    return descriptors.astype(np.float32, copy=False), False


@njit(nogil=True, cache=True)
def widen(half, bits):
    """The bits (D,) uint32 of float32 values, 2^-112 of the float16 values whose bits are half (D,) uint16."""
    for k in range(half.shape[0]):
        h = np.uint32(half[k])
        bits[k] = ((h & np.uint32(0x8000)) << np.uint32(16)) | ((h & np.uint32(0x7FFF)) << np.uint32(13))


@njit(nogil=True, cache=True)
def read_row(stored, half, bits, values):
    """One row (D,) as float32 in values, which is a float32 view of bits (D,) uint32."""
    if not half:
        for k in range(stored.shape[0]):
            values[k] = stored[k]
        return
    widen(stored, bits)
    for k in range(stored.shape[0]):
        values[k] *= WIDENED


@njit(nogil=True, cache=True)
def read_rows(stored, half, rows, values):
    """Named rows as float32 into values (N, D); rows (N,) integers."""
    bits = np.empty(stored.shape[1], np.uint32)
    wide = bits.view(np.float32)
    for i in range(rows.shape[0]):
        read_row(stored[rows[i]], half, bits, wide)
        values[i] = wide


@njit(nogil=True, cache=True)
def quantise_rows(stored, half, rows, values, scale):
    """Named rows as int8 into values (N, D), and the scale (N,) float32 of each: row = scale * values, to 1/254 of its
    largest value."""
    bits = np.empty(stored.shape[1], np.uint32)
    wide = bits.view(np.float32)
    for i in range(rows.shape[0]):
        read_row(stored[rows[i]], half, bits, wide)
        largest = np.float32(0)
        for k in range(wide.shape[0]):
            largest = max(largest, abs(wide[k]))
        steps = np.float32(127) / largest if largest > 0 else np.float32(0)
        for k in range(wide.shape[0]):
            values[i, k] = np.int8(np.rint(wide[k] * steps))
        scale[i] = largest / np.float32(127)
