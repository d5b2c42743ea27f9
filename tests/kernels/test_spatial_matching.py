"""Matching of two photos' regions against a slow twin that tries every pair as it is told, without any shortcut."""

import itertools
import math

import numpy as np
import pytest

from localize.kernels.spatial_matching import fit_affine, match_levels, verify_affine


def slow_levels(query, query_levels, query_channels, reference, reference_levels, reference_channels, rules):
    best, num_cut = (0.0, [0.0] * 6, [], [-1, -1]), 0
    for a, b in itertools.product(sorted(set(query_levels)), sorted(set(reference_levels))):
        pairs = [
            (q, r)
            for q in range(len(query))
            for r in range(len(reference))
            if (query_levels[q], reference_levels[r], query_channels[q]) == (a, b, reference_channels[r])
        ]
        if len(pairs) > rules[4]:
            strongest = sorted(pairs, key=lambda p: -query[p[0]][6] * reference[p[1]][6])
            pairs, num_cut = sorted(strongest[: int(rules[4])]), num_cut + 1
        score, affine, inliers = slow_match(query, reference, pairs, rules)
        if score > best[0]:
            best = score, affine, inliers, [a, b]
    return *best, num_cut


def slow_match(query, reference, pairs, rules):
    scored = [(slow_verify(own_map(query[q], reference[r]), query, reference, pairs, rules), q, r) for q, r in pairs]
    scored = sorted((s for s in scored if s[0][0] > 3), key=lambda s: -s[0][0])
    best = 0.0, [0.0] * 6, []
    for (score, inliers), q, r in scored[:5]:
        affine, last = own_map(query[q], reference[r]), inliers
        inliers = slow_verify(affine, query, reference, pairs, rules, wide=4)[1]
        for _ in range(2):
            fitted = slow_fit(query, reference, inliers)
            if fitted is None:
                break
            found, inliers = slow_verify(fitted, query, reference, pairs, rules)
            if found < score:
                break
            score, affine, last = found, fitted, inliers
        if score > best[0]:
            best = score, affine, last
    return best


def own_map(q, r):
    """Six numbers of x -> A x + t with A = S_r S_q^-1 and t = m_r - A m_q."""
    a11, a22 = r[2] / q[2], r[4] / q[4]
    a21 = (r[3] - a22 * q[3]) / q[2]
    return [a11, 0.0, a21, a22, r[0] - a11 * q[0], r[1] - (a21 * q[0] + a22 * q[1])]


def slow_verify(affine, query, reference, pairs, rules, wide=1):
    limit, each, least, most, _ = rules
    a11, a12, a21, a22, t1, t2 = affine
    determinant = a11 * a22 - a12 * a21
    inliers, total = [], 0.0
    if determinant <= 0 or math.atan2(abs(a12), a22) > math.radians(45) + 1e-12:
        return 0.5, []
    for q, group in itertools.groupby(pairs, key=lambda p: p[0]):
        near = []
        for _, r in group:
            x, y, u, v = *query[q][:2], *reference[r][:2]
            dx, dy = u - (a11 * x + a12 * y + t1), v - (a21 * x + a22 * y + t2)
            ex = a22 / determinant * dx + -a12 / determinant * dy
            ey = -a21 / determinant * dx + a11 / determinant * dy
            there, back = dx * dx + dy * dy, ex * ex + ey * ey
            ok = max(there, back) < limit * wide if each else there + back < limit * wide
            change = reference[r][5] / query[q][5]
            if ok and least * determinant <= change <= most * determinant and r not in [i[1] for i in inliers]:
                near.append((there + back, r))
        if near:
            residual, r = min(near)
            inliers.append((q, r))
            total += residual
    return len(inliers) + 1 / (2 + total), inliers


def slow_fit(query, reference, inliers):
    n, w = len(inliers), 6.283
    if n < 3:
        return None
    weight, pull = (1 + w, 50.0 * w) if n >= 12 else (1.0, 0.0)
    points = [[*query[q][:2], *reference[r][:2]] for q, r in inliers]
    means = [added(column) / n for column in zip(*points, strict=True)]
    centred = [[p - m for p, m in zip(point, means, strict=True)] for point in points]
    gxx = added([pull * n, *(weight * (x * x) for x, *_ in centred)])
    gxy = added(weight * (x * y) for x, y, *_ in centred)
    gyy = added([pull * n, *(weight * (y * y) for _, y, *_ in centred)])
    own = [own_map(query[q], reference[r]) for q, r in inliers]
    h = [
        added(weight * (p[2 + row] * p[column]) + pull * o[2 * row + column] for p, o in zip(centred, own, strict=True))
        for row in range(2)
        for column in range(2)
    ]
    d = gxx * gyy - gxy * gxy
    if d <= 1e-9 * (gxx + gyy) ** 2:
        return None
    a11, a12 = (h[0] * gyy - h[1] * gxy) / d, (h[1] * gxx - h[0] * gxy) / d
    a21, a22 = (h[2] * gyy - h[3] * gxy) / d, (h[3] * gxx - h[2] * gxy) / d
    return [
        a11,
        a12,
        a21,
        a22,
        means[2] - (a11 * means[0] + a12 * means[1]),
        means[3] - (a21 * means[0] + a22 * means[1]),
    ]


def added(values):
    """Their sum from the left; Python's own is compensated."""
    total = 0.0
    for value in values:
        total += value
    return total


def scene(rng, num, num_channels, num_levels, share):
    """Regions of a query and of a reference, a share of which is the query's, moved and noisy, on the same level."""

    def table(n):
        factors = np.column_stack((rng.uniform(0.5, 3, n), rng.uniform(-1, 1, n), rng.uniform(0.5, 3, n)))
        centers = rng.uniform((0, 0), (40, 30), (n, 2))
        return np.column_stack((centers, factors, factors[:, 0] * factors[:, 2], rng.integers(1, 9, n)))

    query, reference = table(num), table(num)
    levels, channels = rng.integers(0, num_levels, num), rng.integers(0, num_channels, num).astype(np.int16)
    a11, a21, a22, t1, t2 = 1.3, 0.2, 0.8, -4.0, 3.0
    for n in np.flatnonzero(rng.random(num) < share):
        x, y, s11, s21, s22 = query[n, :5]
        s = (a11 * s11, a21 * s11 + a22 * s21, a22 * s22) * rng.uniform(0.8, 1.25, 3)
        reference[n, :6] = (
            a11 * x + t1 + rng.normal(0, 0.4),
            a21 * x + a22 * y + t2 + rng.normal(0, 0.4),
            *s,
            s[0] * s[2],
        )
    order, other = np.lexsort((channels, levels)), np.lexsort((rng.random(num), channels, levels))
    return (query[order], levels[order], channels[order]), (reference[other], levels[other], channels[other])


def ends(levels):
    return np.searchsorted(levels, np.arange(levels.max(initial=-1) + 1), side="right")


SUM, EACH = (2.0, 0.0), (4.0, 1.0)  # limit, whether of each direction


SCENES = [(60, 12, 1, 0.8), (60, 5, 2, 0.5), (30, 3, 1, 0.3), (30, 3, 1, 0), (60, 20, 3, 0.7), (60, 20, 3, 0.7)]


@pytest.mark.parametrize(
    ("residuals", "change", "most", "least_score"), [(SUM, 9, 5000, 20), (EACH, 3, 5000, 20), (SUM, 3, 60, 6)]
)
def test_matching_is_that_of_the_slow_twin(residuals, change, most, least_score):
    """To the last bit, in scenes of many matches, few, and of none but chance."""
    rng, scores = np.random.default_rng(change + most), []
    rules = np.array([*residuals, 1 / change, change, most])
    for settings in SCENES:
        (q, q_levels, q_channels), (r, r_levels, r_channels) = scene(rng, *settings)
        wanted = slow_levels(q.tolist(), q_levels, q_channels, r.tolist(), r_levels, r_channels, rules)
        found = match_levels(q, ends(q_levels), q_channels, r, ends(r_levels), r_channels, rules)
        score, affine, pairs, levels, num_cut = found
        assert (score, affine.tolist(), levels.tolist(), num_cut) == (wanted[0], wanted[1], wanted[3], wanted[4])
        assert [tuple(p) for p in pairs.tolist()] == wanted[2]
        assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
        scores.append(score)
    assert scores[0] > least_score


@pytest.mark.parametrize(("turn_deg", "flip", "num"), [(44, 1, 8), (46, 1, 0), (180, 1, 0), (0, -1, 0)])
def test_maps_may_turn_the_vertical_by_45_degrees_and_never_mirror(turn_deg, flip, num):
    rng, turn, num_pairs = np.random.default_rng(6), math.radians(turn_deg), 8
    linear = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) * (flip, 1)
    first = rng.uniform(0, 30, (2, num_pairs))
    pairs, inliers = np.repeat(np.arange(num_pairs, dtype=np.int32)[:, None], 2, 1), np.empty(num_pairs, np.int64)
    given = np.vstack((first, linear @ first)), np.ones(num_pairs), pairs, np.full(num_pairs, -1), 0, inliers
    score = verify_affine(np.array([*linear.ravel(), 0, 0]), *given, np.array([2, 0, 1 / 9, 9, 5000]), 1.0)
    assert score == pytest.approx(num + 0.5)


def test_the_fit_is_the_least_squares_one():
    """numpy's of the same equations; with many inliers also those that draw A to each pair's own."""
    rng = np.random.default_rng(5)
    for num in (3, 11, 12, 30):
        points, own, affine = rng.normal(0, 9, (4, num)), rng.normal(1, 0.3, (num, 6)), np.empty(6)
        assert fit_affine(points, own, np.arange(num), affine)
        x, target = np.column_stack((points[:2].T, np.ones(num))), points[2:].T
        if num >= 12:
            w = 6.283
            pull = np.tile(np.eye(2, 3), (num, 1)) * math.sqrt(50 * w)
            # the centred fit is free of t: its rows are centred too
            x = np.vstack(((x - [*x[:, :2].mean(0), 0]) * math.sqrt(1 + w), pull))
            drawn = own[:, :4].reshape(num, 2, 2).transpose(0, 2, 1).reshape(-1, 2)
            target = np.vstack(((target - target.mean(0)) * math.sqrt(1 + w), drawn * math.sqrt(50 * w)))
        wanted = np.linalg.lstsq(x, target)[0].T
        np.testing.assert_allclose(affine[:4].reshape(2, 2), wanted[:, :2], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(affine[:4].reshape(2, 2) @ points[:2].mean(1) + affine[4:], points[2:].mean(1))
    assert not fit_affine(points, own, np.arange(2), affine)
    points[1] = 2 * points[0]
    assert not fit_affine(points, own, np.arange(3), affine)
