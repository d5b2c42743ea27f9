"""Nearest descriptors by dot product: best two of a block, best two with distinct 3D points.

Lowe, IJCV 2004 (ratio of the best to the second best distance). Arrays in, arrays out; each kernel runs on one
thread without the GIL, so callers run several at once. Ties go to the smaller row.
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


@njit(nogil=True, cache=True)
def best_two_points_dense(similarity, point, best, best_column, second):
    """Best column and second best over another point, for each line of a block (B, N); point (N,) of each column.

    Results (B,) are written to best, best_column (-1: none) and second (-inf: no second point).
    """
    for i in range(similarity.shape[0]):
        b, s, column, p = -np.inf, -np.inf, -1, -1
        for j in range(similarity.shape[1]):
            v = similarity[i, j]
            if v > s:
                if v > b:
                    if point[j] != p:
                        s = b
                    b = v
                    column = j
                    p = point[j]
                elif point[j] != p:
                    s = v
        best[i] = b
        best_column[i] = column
        second[i] = s


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    s = np.float32(0)
    for k in range(a.shape[0]):
        s += a[k] * b[k]
    return s


@njit(nogil=True, cache=True)
def best_two_points_sparse(queries, descriptors, point_of_row, indptr, rows, best, best_row, second):
    """The same, where query i (Q, D) float32 is compared with rows[indptr[i]:indptr[i + 1]] of descriptors (M, D)."""
    for i in range(queries.shape[0]):
        b, s, r, p = -np.inf, -np.inf, -1, -1
        for j in range(indptr[i], indptr[i + 1]):
            row = rows[j]
            v = _dot(queries[i], descriptors[row])
            q = point_of_row[row]
            if v > b or (v == b and row < r):
                if q != p:
                    s = b
                b = v
                r = row
                p = q
            elif q != p and v > s:
                s = v
        best[i] = b
        best_row[i] = r
        second[i] = s
