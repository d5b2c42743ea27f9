"""Nearest descriptors by dot product: best two of a block, best two with distinct 3D points.

Lowe, IJCV 2004 (ratio of the best to the second best distance). Arrays in, arrays out; each kernel runs on one
thread without the GIL, so callers run several at once. Ties go to the smaller row, or the smaller point.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def best_two_columns(similarity, first_row, best, best_column, second, column_best, column_best_row):
    """For each row of a block (B, N) the largest value, its column and the second largest; for each column the
    largest value so far and its row (`first_row` + row in the block), updated in place."""
    for i in range(similarity.shape[0]):
        b, s, column = -np.inf, -np.inf, -1
        for j in range(similarity.shape[1]):
            v = similarity[i, j]
            if v > b:
                s = b
                b = v
                column = j
            elif v > s:
                s = v
            if v > column_best[j]:
                column_best[j] = v
                column_best_row[j] = first_row + i
        best[i] = b
        best_column[i] = column
        second[i] = s


@njit(nogil=True, cache=True, inline="always")
def _better(value, point, best, best_point):
    return value > best or (value == best and point < best_point)


@njit(nogil=True, cache=True)
def best_two_points_dense(similarity, point, best, best_point, second):
    """For each line of a block (B, N) the largest similarity, its point, and the largest of any other point.

    point (N,): the 3D point of each column. best (B,) float32 (-inf: none), best_point (B,) int32 (-1: none) and second
    (B,) float32 (-inf: no other point) hold what earlier columns gave and are updated in place.
    """
    for i in range(similarity.shape[0]):
        b, p, s = best[i], best_point[i], second[i]
        for j in range(similarity.shape[1]):
            v = similarity[i, j]
            if v < s:
                continue
            q = point[j]
            if q == p:
                b = max(b, v)
            elif _better(v, q, b, p):
                b, p, s = v, q, b
            else:
                s = max(s, v)
        best[i], best_point[i], second[i] = b, p, s


@njit(nogil=True, cache=True)
def widen(half, bits):
    """The bits (D,) uint32 of float32 values, 2^-112 of the float16 values whose bits are half (D,) uint16."""
    for k in range(half.shape[0]):
        h = np.uint32(half[k])
        bits[k] = ((h & np.uint32(0x8000)) << np.uint32(16)) | ((h & np.uint32(0x7FFF)) << np.uint32(13))


WIDENED = np.float32(2.0**112)  # the exponents of float16 and float32 count from 15 and 127


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    s = np.float32(0)
    for k in range(a.shape[0]):
        s += a[k] * b[k]
    return s


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot_widened(a, b):
    s = np.float32(0)
    for k in range(a.shape[0]):
        s += a[k] * (b[k] * WIDENED)
    return s


@njit(nogil=True, cache=True)
def best_two_points_sparse(queries, descriptors, half, point_of_row, indptr, rows, best, best_point, second):
    """The same, where query i (Q, D) float32 is compared with rows[indptr[i]:indptr[i + 1]] of descriptors (M, D).

    half: whether descriptors are the bits of float16 values as uint16 (numba knows no float16), else float32. Only the
    named rows are read.
    """
    bits = np.empty(descriptors.shape[1], np.uint32)
    wide = bits.view(np.float32)
    for i in range(queries.shape[0]):
        b, p, s = best[i], best_point[i], second[i]
        for j in range(indptr[i], indptr[i + 1]):
            row = rows[j]
            if half:
                widen(descriptors[row], bits)
                v = _dot_widened(queries[i], wide)
            else:
                v = _dot(queries[i], descriptors[row])
            q = point_of_row[row]
            if q == p:
                b = max(b, v)
            elif _better(v, q, b, p):
                b, p, s = v, q, b
            else:
                s = max(s, v)
        best[i], best_point[i], second[i] = b, p, s
