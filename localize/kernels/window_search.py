"""Map points whose place in the photo is known: for each the most similar keypoint near it."""

import math

import numpy as np
from numba import njit

from localize.kernels.nearest import dot
from localize.kernels.rows import read_row


@njit(nogil=True, cache=True)
def grid_of(xy, cell_px, left, top, columns, lines):
    """Keypoints xy (N, 2) sorted into square cells: (first (columns * lines + 1,), keypoints (N,)) both int32.

    Cell c holds keypoints[first[c]:first[c + 1]]; one outside the grid belongs to the nearest cell, NaN to none.
    """
    first = np.zeros(columns * lines + 1, np.int32)
    cell = np.empty(xy.shape[0], np.int32)
    for i in range(xy.shape[0]):
        cell[i] = -1
        if math.isfinite(xy[i, 0]) and math.isfinite(xy[i, 1]):
            column = min(columns - 1, max(0, int((xy[i, 0] - left) / cell_px)))
            line = min(lines - 1, max(0, int((xy[i, 1] - top) / cell_px)))
            cell[i] = line * columns + column
            first[cell[i] + 1] += 1
    for c in range(columns * lines):
        first[c + 1] += first[c]
    at = first.copy()
    keypoints = np.empty(first[-1], np.int32)
    for i in range(xy.shape[0]):
        if cell[i] >= 0:
            keypoints[at[cell[i]]] = i
            at[cell[i]] += 1
    return first, keypoints


@njit(nogil=True, cache=True)
def window_search(
    xy, descriptors, first, keypoints, cell_px, left, top, columns, lines,
    places, stored, half, rows, point_of_row, radius_px, least, best, best_keypoint,
):  # fmt: skip
    """For each place the most similar keypoint within radius_px <= cell_px, if it is at least `least` similar.

    xy (N, 2), descriptors (N, D) float32: the photo's; first, keypoints, ...: its `grid_of`. places (P, 2): of P
    points. stored, half: the map's descriptors as `rows.as_stored` gives them; rows (R,): those to compare, and
    point_of_row (R,): the place each belongs to. Written: best (P,) float32 (-inf: none) and best_keypoint (P,) int32
    (-1). Of equal similarities the first in the order of rows and keypoints of a cell counts.
    """
    best[:] = -np.inf
    best_keypoint[:] = -1
    bits = np.empty(stored.shape[1], np.uint32)
    values = bits.view(np.float32)
    near = np.empty(keypoints.shape[0], np.int32)
    for r in range(rows.shape[0]):
        p = point_of_row[r]
        count = _keypoints_near(
            xy, first, keypoints, cell_px, left, top, columns, lines, places[p, 0], places[p, 1], radius_px, near
        )
        if count == 0:
            continue
        read_row(stored[rows[r]], half, bits, values)
        for k in range(count):
            similarity = dot(descriptors[near[k]], values)
            if similarity >= least and similarity > best[p]:
                best[p] = similarity
                best_keypoint[p] = near[k]


@njit(nogil=True, cache=True)
def _keypoints_near(xy, first, keypoints, cell_px, left, top, columns, lines, x, y, radius_px, near):
    """How many keypoints lie within the radius of (x, y); their numbers come first in `near`."""
    count = 0
    column, line = math.floor((x - left) / cell_px), math.floor((y - top) / cell_px)
    for b in range(max(0, line - 1), min(lines, line + 2)):
        for a in range(max(0, column - 1), min(columns, column + 2)):
            cell = b * columns + a
            for i in range(first[cell], first[cell + 1]):
                k = keypoints[i]
                dx, dy = xy[k, 0] - x, xy[k, 1] - y
                if dx * dx + dy * dy <= radius_px * radius_px:
                    near[count] = k
                    count += 1
    return count


@njit(nogil=True, cache=True)
def each_keypoint_once(best, best_keypoint, num_keypoints):
    """Of several points with the same keypoint only the most similar keeps it, of equal ones the first; in place."""
    owner = np.full(num_keypoints, -1, np.int32)
    for p in range(best.shape[0]):
        k = best_keypoint[p]
        if k < 0:
            continue
        if owner[k] < 0:
            owner[k] = p
        elif best[p] > best[owner[k]]:
            best_keypoint[owner[k]] = -1
            owner[k] = p
        else:
            best_keypoint[p] = -1


@njit(nogil=True, cache=True)
def rows_by_point(point, num_points):
    """(first (P + 1,) int64, rows (M,) int32): the rows of point p are rows[first[p]:first[p + 1]], ascending."""
    first = np.zeros(num_points + 1, np.int64)
    for r in range(point.shape[0]):
        first[point[r] + 1] += 1
    for p in range(num_points):
        first[p + 1] += first[p]
    at = first[:-1].copy()
    rows = np.empty(point.shape[0], np.int32)
    for r in range(point.shape[0]):
        rows[at[point[r]]] = r
        at[point[r]] += 1
    return first, rows
