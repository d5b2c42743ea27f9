"""Nearest descriptors by dot product: best two of a block, best two with distinct 3D points.

Lowe, IJCV 2004 (ratio of the best to the second best distance). Arrays in, arrays out; each kernel runs on one
thread without the GIL, so callers run several at once. Ties go to the smaller row, or the smaller point.
"""

import numpy as np
from numba import njit

from localize.kernels.rows import read_row

CHUNK = 64  # columns looked at together: most blocks of 64 hold nothing better, and vectors see that at once


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
def with_one_more(value, point, best, best_point, second):
    """Best similarity, its point and the best of another point, after one more comparison; ties: the smaller point."""
    if point == best_point:
        return max(best, value), best_point, second
    if value > best or (value == best and point < best_point):
        return value, point, best
    return best, best_point, max(second, value)


@njit(nogil=True, cache=True)
def best_two_points_dense(similarity, point, best, best_point, second):
    """For each line of a block (B, N) the largest similarity, its point, and the largest of any other point.

    point (N,): the 3D point of each column. best (B,) float32 (-inf: none), best_point (B,) int32 (-1: none) and second
    (B,) float32 (-inf: no other point) hold what earlier columns gave and are updated in place.
    """
    for i in range(similarity.shape[0]):
        b, p, s = best[i], best_point[i], second[i]
        for c in range(0, similarity.shape[1], CHUNK):
            values, points = similarity[i, c : c + CHUNK], point[c : c + CHUNK]
            any_better = False
            for j in range(values.shape[0]):
                any_better |= values[j] >= s
            if not any_better:
                continue
            for j in range(values.shape[0]):
                b, p, s = with_one_more(values[j], points[j], b, p, s)
        best[i], best_point[i], second[i] = b, p, s


@njit(nogil=True, cache=True)
def keep_best_points(product, scale, point, first, kept, kept_column, kept_point):
    """For each line of a block (B, N) the R points with the largest values, best first, and the best column of each.

    product: int32 sums of int8 products; scale (N,) float32 makes column j's comparable: value = product * scale[j].
    first: number of the block's first column. kept (B, R) float32 (-inf: none), kept_column and kept_point (B, R) int32
    (-1: none) hold what earlier columns gave and are updated in place. Of equal values the earlier column counts.
    """
    for i in range(product.shape[0]):
        worst = kept[i, -1]
        for c in range(0, product.shape[1], CHUNK):
            sums, factors = product[i, c : c + CHUNK], scale[c : c + CHUNK]
            any_better = False
            for j in range(sums.shape[0]):
                any_better |= np.float32(sums[j]) * factors[j] > worst
            if not any_better:
                continue
            for j in range(sums.shape[0]):
                v = np.float32(sums[j]) * factors[j]
                if v > worst:
                    _keep(v, first + c + j, point[c + j], kept[i], kept_column[i], kept_point[i])
                    worst = kept[i, -1]


@njit(nogil=True, cache=True)
def _keep(value, column, point, kept, kept_column, kept_point):
    """Take a column among the kept ones, instead of the one of the same point if there is one, else of the last."""
    at = kept.shape[0] - 1
    for r in range(kept.shape[0]):
        if kept_point[r] == point:
            if kept[r] >= value:
                return
            at = r
            break
    while at > 0 and kept[at - 1] < value:
        kept[at], kept_column[at], kept_point[at] = kept[at - 1], kept_column[at - 1], kept_point[at - 1]
        at -= 1
    kept[at], kept_column[at], kept_point[at] = value, column, point


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def dot(a, b):
    """The dot product of two rows (D,) float32."""
    s = np.float32(0)
    for k in range(a.shape[0]):
        s += a[k] * b[k]
    return s


@njit(nogil=True, cache=True)
def best_two_points_sparse(queries, stored, half, point, indptr, rows, best, best_point, second):
    """As `best_two_points_dense`, where query i (Q, D) float32 is compared with rows[indptr[i]:indptr[i + 1]].

    stored (M, D), half: descriptors as `rows.as_stored` gives them; point: of each of `rows`. Only these rows are read.
    """
    bits = np.empty(stored.shape[1], np.uint32)
    row_values = bits.view(np.float32)
    for i in range(queries.shape[0]):
        b, p, s = best[i], best_point[i], second[i]
        for j in range(indptr[i], indptr[i + 1]):
            read_row(stored[rows[j]], half, bits, row_values)
            b, p, s = with_one_more(dot(queries[i], row_values), point[j], b, p, s)
        best[i], best_point[i], second[i] = b, p, s
