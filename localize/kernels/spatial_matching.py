"""Affine maps between the regions of two photos, from single matches, refined: the hot loop of deep spatial matching.

Simeoni, Avrithis & Chum, "Local features and visual words emerge in activations", CVPR 2019, section 4; what counts as
an inlier and how the best are refined as their code does it. One match of two ellipses gives an affine map that keeps
the vertical direction: Philbin et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007.
Refined best hypotheses: LO-RANSAC, Chum, Matas & Kittler, DAGM 2003; here all hypotheses are tried, none is drawn.

Regions (N, 7) float64: x, y; factor 11, 21, 22, the lower triangular matrix S that takes the unit circle to the
ellipse; its determinant; strength. Affine maps are 6 numbers: a11, a12, a21, a22, t1, t2. Sums run in the order of the
matches, so that the result is the same everywhere.
"""

import numpy as np
from numba import njit

from localize.kernels.tentative_pairs import most_inliers, strongest_pairs, tentative_pairs

REFINED = 5  # best hypotheses that are refined
ROUNDS = 2  # of each, at most
WIDE = 4.0  # times the limit, for the inliers that the first round starts with
LEAST = 3  # inliers
SHAPED = 12  # inliers from which their own shapes have a say in the fit
SHAPE_WEIGHT = 6.283
SHAPE_SHARE = 50.0


@njit(nogil=True, cache=True, error_model="numpy")
def match_levels(query, query_ends, query_channels, reference, reference_ends, reference_channels, rules):
    """The best affine map over all pairs of levels.

    query, reference: regions, by level, then channel (N,) int16; ends (levels,) int64: where a level ends. rules: the
    limit of a residual, whether it holds for each direction or for their sum (1 or 0), the least and highest change of
    size, the most tentative matches. Returns score, affine (6,), pairs (M, 2) int32, levels (2,), and how many pairs of
    levels had more tentative matches. Of equal scores that of the first pair of levels.
    """
    best, best_affine, best_levels, num_cut = 0.0, np.zeros(6), np.full(2, -1, np.int64), 0
    best_pairs = np.empty((0, 2), np.int32)
    for a in range(len(query_ends)):
        for b in range(len(reference_ends)):
            first, last = query_ends[a - 1] if a else 0, query_ends[a]
            other, end = reference_ends[b - 1] if b else 0, reference_ends[b]
            pairs = tentative_pairs(query_channels, first, last, reference_channels, other, end)
            if len(pairs) > rules[4]:
                pairs = strongest_pairs(pairs, query[:, 6], reference[:, 6], np.int64(rules[4]))
                num_cut += 1
            if most_inliers(pairs, other, end) + 0.5 <= best:
                continue
            score, affine, inliers = match_pairs(query, reference, pairs, rules)
            if score > best:
                best, best_affine, best_pairs = score, affine, pairs[inliers]
                best_levels[0], best_levels[1] = a, b
    return best, best_affine, best_pairs, best_levels, num_cut


@njit(nogil=True, cache=True, error_model="numpy")
def match_pairs(query, reference, pairs, rules):
    """Score, affine (6,) and inliers (M,) int64 rows of pairs (T, 2) int32, which are by the query's row."""
    num_pairs = len(pairs)
    points, changes, own = np.empty((4, num_pairs)), np.empty(num_pairs), np.empty((num_pairs, 6))
    for t in range(num_pairs):
        q, r = query[pairs[t, 0]], reference[pairs[t, 1]]
        points[0, t], points[1, t], points[2, t], points[3, t] = q[0], q[1], r[0], r[1]
        changes[t] = r[5] / q[5]
        _from_one(q, r, own[t])
    used = np.full(len(reference), -1, np.int64)  # by which verification a region of the reference was last taken
    inliers, again = np.empty(num_pairs, np.int64), np.empty(num_pairs, np.int64)
    hypotheses, scores = _best_hypotheses(points, changes, own, pairs, used, inliers, rules)
    best, best_affine, best_inliers, fitted = 0.0, np.zeros(6), inliers[:0].copy(), np.empty(6)
    stamp = num_pairs
    for k in range(len(hypotheses)):
        score, affine = scores[k], own[hypotheses[k]].copy()
        num = _count(verify_affine(affine, points, changes, pairs, used, stamp, inliers, rules, WIDE))
        stamp += 1
        for _ in range(ROUNDS):
            if not fit_affine(points, own, inliers[:num], fitted):
                break
            found = verify_affine(fitted, points, changes, pairs, used, stamp, again, rules, 1.0)
            stamp += 1
            if found < score:
                break
            score, num = found, _count(found)
            affine[:], inliers[:num] = fitted, again[:num]
        if score > best:
            best, best_affine = score, affine
    if best >= LEAST:
        verify_affine(best_affine, points, changes, pairs, used, stamp, inliers, rules, 1.0)
        best_inliers = inliers[: _count(best)].copy()
    return best, best_affine, best_inliers


@njit(nogil=True, cache=True)
def _count(score):
    """Inliers of a score."""
    return np.int64(score)


@njit(nogil=True, cache=True)
def _from_one(q, r, affine):
    """The map that takes the query's ellipse to the reference's: S_r S_q^-1, and the one centre to the other."""
    affine[0], affine[1] = r[2] / q[2], 0.0
    affine[3] = r[4] / q[4]
    affine[2] = (r[3] - affine[3] * q[3]) / q[2]
    affine[4] = r[0] - affine[0] * q[0]
    affine[5] = r[1] - (affine[2] * q[0] + affine[3] * q[1])


@njit(nogil=True, cache=True, error_model="numpy")
def _best_hypotheses(points, changes, own, pairs, used, inliers, rules):
    """Rows of the pairs whose own maps have the highest scores, at most `REFINED`, best first, and the scores.

    Of equal scores the first. A map is verified only where so many pairs fit it, taken many to many, that it could be
    among the best: no more can be inliers.
    """
    rows, scores, num = np.empty(REFINED, np.int64), np.empty(REFINED), 0
    needed = LEAST
    for h in range(len(pairs)):
        if _num_fitting(own[h], points, changes, rules) < needed:
            continue
        score = verify_affine(own[h], points, changes, pairs, used, h, inliers, rules, 1.0)
        if score <= LEAST or (num == REFINED and score <= scores[num - 1]):
            continue
        num = min(num + 1, REFINED)
        k = num - 1
        while k > 0 and scores[k - 1] < score:
            rows[k], scores[k] = rows[k - 1], scores[k - 1]
            k -= 1
        rows[k], scores[k] = h, score
        if num == REFINED:
            needed = _count(scores[num - 1])
    return rows[:num], scores[:num]


@njit(nogil=True, cache=True, error_model="numpy")
def _num_fitting(affine, points, changes, rules):
    """How many pairs pass the tests of `verify_affine`, of a map with a12 = 0: all in a loop without branches.

    The compiler makes it one over vectors. To the last bit what is computed there: what is left out are zeros.
    """
    a11, a21, a22, t1, t2 = affine[0], affine[2], affine[3], affine[4], affine[5]
    determinant = a11 * a22
    b11, b21, b22 = a22 / determinant, -a21 / determinant, a11 / determinant
    limit, least, most = rules[0], rules[2] * determinant, rules[3] * determinant
    x1, y1, x2, y2 = points[0], points[1], points[2], points[3]
    part = 0.0 if rules[1] > 0 else 1.0  # of one direction's residual in the other's test
    num = 0
    for t in range(points.shape[1]):
        dx, dy = x2[t] - (a11 * x1[t] + t1), y2[t] - (a21 * x1[t] + a22 * y1[t] + t2)
        ex, ey = b11 * dx, b21 * dx + b22 * dy
        there, back = dx * dx + dy * dy, ex * ex + ey * ey
        fits = (part * there + back < limit) & (there < limit)
        num += fits & (changes[t] >= least) & (changes[t] <= most)
    return num


@njit(nogil=True, cache=True, error_model="numpy")
def verify_affine(affine, points, changes, pairs, used, stamp, inliers, rules, wide):
    """Score of a map: its inliers + 1 / (2 + sum of their residuals); their rows are written to `inliers`.

    Each region of the query, in order, takes the nearest of the reference's that no other took. Theirs must have
    changed size about as the map does. The image of the vertical must lie within 45 degrees of that under the
    pair's own map, which is the vertical: a condition on the map alone. used: rows taken hold `stamp`.
    """
    a11, a12, a21, a22, t1, t2 = affine
    determinant = a11 * a22 - a12 * a21
    if not (determinant > 0 and abs(a12) <= a22):
        return 0.5
    b11, b12, b21, b22 = a22 / determinant, -a12 / determinant, -a21 / determinant, a11 / determinant
    limit, each = rules[0] * wide, rules[1] > 0
    least, most = rules[2] * determinant, rules[3] * determinant
    num, total, t = 0, 0.0, 0
    while t < len(pairs):
        q, nearest, smallest = pairs[t, 0], -1, np.inf
        while t < len(pairs) and pairs[t, 0] == q:
            dx = points[2, t] - (a11 * points[0, t] + a12 * points[1, t] + t1)
            dy = points[3, t] - (a21 * points[0, t] + a22 * points[1, t] + t2)
            there = dx * dx + dy * dy
            if there < limit and least <= changes[t] <= most and used[pairs[t, 1]] != stamp:
                ex, ey = b11 * dx + b12 * dy, b21 * dx + b22 * dy
                back = ex * ex + ey * ey
                residual = there + back
                if (back if each else residual) < limit and residual < smallest:
                    nearest, smallest = t, residual
            t += 1
        if nearest >= 0:
            used[pairs[nearest, 1]] = stamp
            inliers[num] = nearest
            num += 1
            total += smallest
    return num + 1 / (2 + total)


@njit(nogil=True, cache=True, error_model="numpy")
def fit_affine(points, own, inliers, affine):
    """Write the least-squares map of the inliers; False if they are too few or in a line.

    From `SHAPED` of them on, the linear part is also drawn to that of each pair's own map.
    """
    n = len(inliers)
    if n < LEAST:
        return False
    mx1, my1, mx2, my2 = 0.0, 0.0, 0.0, 0.0
    for t in inliers:
        mx1, my1 = mx1 + points[0, t], my1 + points[1, t]
        mx2, my2 = mx2 + points[2, t], my2 + points[3, t]
    mx1, my1, mx2, my2 = mx1 / n, my1 / n, mx2 / n, my2 / n
    weight = 1 + SHAPE_WEIGHT if n >= SHAPED else 1.0
    pull = SHAPE_SHARE * SHAPE_WEIGHT if n >= SHAPED else 0.0
    gxx, gxy, gyy = pull * n, 0.0, pull * n
    h11, h12, h21, h22 = 0.0, 0.0, 0.0, 0.0
    for t in inliers:
        x1, y1, x2, y2 = points[0, t] - mx1, points[1, t] - my1, points[2, t] - mx2, points[3, t] - my2
        gxx, gxy, gyy = gxx + weight * (x1 * x1), gxy + weight * (x1 * y1), gyy + weight * (y1 * y1)
        h11, h12 = h11 + (weight * (x2 * x1) + pull * own[t, 0]), h12 + (weight * (x2 * y1) + pull * own[t, 1])
        h21, h22 = h21 + (weight * (y2 * x1) + pull * own[t, 2]), h22 + (weight * (y2 * y1) + pull * own[t, 3])
    determinant = gxx * gyy - gxy * gxy
    if not determinant > 1e-9 * (gxx + gyy) ** 2:
        return False
    affine[0], affine[1] = (h11 * gyy - h12 * gxy) / determinant, (h12 * gxx - h11 * gxy) / determinant
    affine[2], affine[3] = (h21 * gyy - h22 * gxy) / determinant, (h22 * gxx - h21 * gxy) / determinant
    affine[4] = mx2 - (affine[0] * mx1 + affine[1] * my1)
    affine[5] = my2 - (affine[2] * mx1 + affine[3] * my1)
    return True
