"""A pose scored by its matches, and improved on those that agree with it (6 degrees of freedom).

MSAC: Torr & Zisserman, "MLESAC", CVIU 2000: a match costs its squared error, an outlier the squared threshold. Errors
are lengths on the plane z = 1, so a threshold is one in pixels divided by the focal length.
"""

import math

import numpy as np
from numba import njit

ROUNDS, STEPS = 5, 3  # thresholds from wide to narrow, Gauss-Newton steps at each
LEAST = 4  # matches that six unknowns are fitted to


@njit(nogil=True, cache=True, error_model="numpy")
def msac(rays, points, R, t, threshold, limit):
    """Cost of a pose, and its number of inliers; it stops when the cost passes `limit`.

    rays (N, 2): x / z and y / z of what the camera sees; points (N, 3); R (3, 3), t (3,): cam_from_world.
    """
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = R.ravel()
    t0, t1, t2 = t
    most = threshold * threshold
    cost, inliers = 0.0, 0
    for i in range(rays.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        depth = r20 * x + r21 * y + r22 * z + t2
        error = most
        if depth > 0:
            per = 1.0 / depth
            u = (r00 * x + r01 * y + r02 * z + t0) * per - rays[i, 0]
            v = (r10 * x + r11 * y + r12 * z + t1) * per - rays[i, 1]
            error = u * u + v * v
        if error < most:
            cost += error
            inliers += 1
        else:
            cost += most
            if cost > limit:
                break
    return cost, inliers


@njit(nogil=True, cache=True, error_model="numpy")
def _normal_equations(rays, points, R, t, threshold, H, g):
    """Fill H (6, 6) and g (6,) of rotation and translation on the left; number of matches within the threshold.

    Weights 1 / (1 + e^2 / s^2) with s = threshold / 2 (Cauchy), 0 beyond the threshold.
    """
    H[:] = 0
    g[:] = 0
    used = 0
    ju, jv = np.zeros(6), np.zeros(6)
    most = threshold * threshold
    for i in range(rays.shape[0]):
        z = R[2, 0] * points[i, 0] + R[2, 1] * points[i, 1] + R[2, 2] * points[i, 2] + t[2]
        if z <= 0:
            continue
        u = (R[0, 0] * points[i, 0] + R[0, 1] * points[i, 1] + R[0, 2] * points[i, 2] + t[0]) / z
        v = (R[1, 0] * points[i, 0] + R[1, 1] * points[i, 1] + R[1, 2] * points[i, 2] + t[1]) / z
        eu, ev = u - rays[i, 0], v - rays[i, 1]
        error = eu * eu + ev * ev
        if error >= most:
            continue
        used += 1
        weight = 1.0 / (1.0 + 4.0 * error / most)
        ju[0], ju[1], ju[2], ju[3], ju[5] = -u * v, 1 + u * u, -v, 1 / z, -u / z
        jv[0], jv[1], jv[2], jv[4], jv[5] = -1 - v * v, u * v, u, 1 / z, -v / z
        for a in range(6):
            g[a] += weight * (ju[a] * eu + jv[a] * ev)
            for b in range(a + 1):
                H[a, b] += weight * (ju[a] * ju[b] + jv[a] * jv[b])
    return used


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(H, g):
    """Overwrite g by the solution of H x = g, by Cholesky of the lower triangle, in place; False if H is singular."""
    for a in range(6):
        for b in range(a + 1):
            value = H[a, b]
            for k in range(b):
                value -= H[a, k] * H[b, k]
            if a == b:
                if not value > 0:
                    return False
                H[a, a] = math.sqrt(value)
            else:
                H[a, b] = value / H[b, b]
    for a in range(6):
        for k in range(a):
            g[a] -= H[a, k] * g[k]
        g[a] /= H[a, a]
    for a in range(5, -1, -1):
        for k in range(a + 1, 6):
            g[a] -= H[k, a] * g[k]
        g[a] /= H[a, a]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _turn(R, t, step):
    """R and t, in place, after a rotation by step[:3] (rad, Rodrigues) and a translation by step[3:] on the left."""
    angle = math.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    a = math.sin(angle) / angle if angle > 1e-12 else 1.0
    b = (1 - math.cos(angle)) / (angle * angle) if angle > 1e-6 else 0.5
    x, y, z = step[0], step[1], step[2]
    for k in range(4):
        p, q, r = (R[0, k], R[1, k], R[2, k]) if k < 3 else (t[0], t[1], t[2])
        cx, cy, cz = y * r - z * q, z * p - x * r, x * q - y * p
        p, q, r = (
            p + a * cx + b * (y * cz - z * cy),
            q + a * cy + b * (z * cx - x * cz),
            r + a * cz + b * (x * cy - y * cx),
        )
        if k < 3:
            R[0, k], R[1, k], R[2, k] = p, q, r
        else:
            t[0], t[1], t[2] = p + step[3], q + step[4], r + step[5]


@njit(nogil=True, cache=True, error_model="numpy")
def improve(rays, points, R, t, wide, narrow):
    """Change R (3, 3) and t (3,) in place to fit the matches around them, thresholds falling from wide to narrow.

    Gauss-Newton with Cauchy weights on what lies within the threshold; it stops where too few matches do.
    """
    H, step = np.empty((6, 6)), np.empty(6)
    for k in range(ROUNDS):
        threshold = wide * (narrow / wide) ** (k / (ROUNDS - 1))
        for _ in range(STEPS):
            if _normal_equations(rays, points, R, t, threshold, H, step) < LEAST:
                return
            for a in range(6):
                H[a, a] *= 1 + 1e-6
            if not _solve(H, step):
                return
            step[:] *= -1
            _turn(R, t, step)
