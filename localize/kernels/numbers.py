"""Decimal numbers of a text as float64, correctly rounded, line by line.

At most 18 significant digits w and 22 decimals k are converted here, as w / 10^k: both are exact in (at most) two
floats, so the quotient's own remainder gives the missing bits (Dekker 1971). What has more digits, an exponent, is
no number at all, or lies too close to the middle between two floats, is left to the caller.
"""

import numpy as np
from numba import njit

_TENS = 10.0 ** np.arange(23)  # all exact


@njit(nogil=True, cache=True)
def _quotient(w, p):
    """(w / p correctly rounded, whether that is sure) for an integer w < 2^63 and a power of ten p <= 10^22."""
    hi = np.float64(w)
    lo = np.float64(w - np.int64(hi))  # exact: the part of w that does not fit 53 bits
    q = hi / p
    c = 134217729.0 * q  # Veltkamp's split into halves, whose products are exact
    q1 = c - (c - q)
    q2 = q - q1
    c = 134217729.0 * p
    p1 = c - (c - p)
    p2 = p - p1
    product = q * p
    error = ((q1 * p1 - product) + q1 * p2 + q2 * p1) + q2 * p2
    rest = ((hi - product) - error + lo) / p
    return q + rest, q + rest * (1 + 1e-14) == q + rest * (1 - 1e-14)


@njit(nogil=True, cache=True)
def _parse_number(text, start, end):
    """(value, whether it is sure) of text[start:end]."""
    at = start
    negative = text[at] == 45
    if negative or text[at] == 43:
        at += 1
    w, digits, decimals, dots, seen = 0, 0, 0, 0, 0
    while at < end:
        c = text[at]
        if 48 <= c <= 57:
            digits += digits > 0 or c != 48
            if digits > 18:  # 10^18 - 1 fits int64 with room
                return 0.0, False
            w = 10 * w + (np.int64(c) - 48)
            decimals += dots
            seen += 1
        elif c == 46 and dots == 0:
            dots = 1
        else:
            return 0.0, False
        at += 1
    if seen == 0 or decimals > 22:
        return 0.0, False
    value, sure = np.float64(w), True
    if w > 9007199254740992:
        value, sure = _quotient(w, _TENS[decimals])
    elif decimals:
        value = value / _TENS[decimals]  # both exact
    return (-value if negative else value), sure


@njit(nogil=True, cache=True)
def parse_rows(text, max_rows, values, row_end, row_line, unsure):
    """Parse the lines of text (B,) uint8, which ends with a line end, until max_rows lines with numbers are read.

    Row i, found in line row_line[i] of the text (from 0), is values[row_end[i - 1]:row_end[i]]; blank lines and those
    whose first word begins with # make no row. unsure (U, 3) gets (index of the value, start, end in the text) of what
    the caller must convert. The outputs must be long enough. Returns (rows, values, unsure, lines and bytes used).
    """
    at, line, rows, count, doubts, size = 0, 0, 0, 0, 0, text.shape[0]
    while at < size and rows < max_rows:
        first, comment = count, False
        while text[at] != 10:
            if comment or text[at] <= 32:
                at += 1
                continue
            if text[at] == 35 and count == first:
                comment = True
                continue
            start = at
            while text[at] > 32:
                at += 1
            values[count], sure = _parse_number(text, start, at)
            if not sure:
                unsure[doubts, 0], unsure[doubts, 1], unsure[doubts, 2] = count, start, at
                doubts += 1
            count += 1
        if count > first:
            row_end[rows], row_line[rows] = count, line
            rows += 1
        at += 1
        line += 1
    return rows, count, doubts, line, at


@njit(nogil=True, cache=True)
def record_starts(data, head, size_at, item, starts, sizes):
    """Walk binary records in data (B,) uint8, each of `head` bytes and then a number of items of `item` bytes.

    That number is a little-endian u64 `size_at` bytes into the record. The starts and numbers of the records that lie
    whole in data are written; returns how many, and where the next one begins.
    """
    at, count = 0, 0
    while at + head <= data.shape[0]:
        n = 0
        for k in range(7, -1, -1):
            n = (n << 8) | np.int64(data[at + size_at + k])
        if n < 0 or n > (data.shape[0] - at - head) // item:
            break
        starts[count], sizes[count] = at, n
        count += 1
        at += head + item * n
    return count, at


@njit(nogil=True, cache=True)
def place_observations(point, xy, image, free, end, out_image, out_keypoint, out_xy):
    """Write an image's keypoints, of point rows (K,) int32 (-1 = none) at xy (K, 2), to their points' free places.

    free (P,) holds each point's next place and moves on, end (P,) the place after its last. Returns the first keypoint
    whose point has no place left, or -1.
    """
    for k in range(point.shape[0]):
        p = point[k]
        if p < 0:
            continue
        at = free[p]
        if at >= end[p]:
            return k
        free[p] = at + 1
        out_image[at], out_keypoint[at] = image, k
        out_xy[at, 0], out_xy[at, 1] = xy[k, 0], xy[k, 1]
    return -1
