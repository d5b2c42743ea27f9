"""Pose from two matches where the direction of gravity is known, and LO-RANSAC around it.

The two-point problem: Kukelova, Bujnak & Pajdla, "Closed-form solutions to minimal absolute pose problems with known
vertical direction", ACCV 2010 (ours eliminates the translation and solves for the two depths). RANSAC with local
optimisation: Chum, Matas & Kittler, DAGM 2003; samples of the best matches first: Chum & Matas (PROSAC), CVPR 2005.
"""

import math

import numpy as np
from numba import njit

from localize.kernels.free_pose import improve, msac
from localize.kernels.splitmix64 import random_below

ALMOST = 3.0  # inliers at the wide threshold that a pair may lack against the best, and still be improved


@njit(nogil=True, cache=True, error_model="numpy")
def solve_upright(b1, b2, X1, X2, yaws, shifts):
    """Write cos and sin of the yaw, yaws (2, 2), and the translation, shifts (2, 3); returns how many, 0 to 2.

    b1, b2: unit bearings; X1, X2: points; gravity is the y axis in both frames. Then l1 b1 - l2 b2 = Ry (X1 - X2),
    whose y is linear in the depths l, and whose length in the plane of x and z does not depend on the yaw: a quadratic.
    Only solutions with both points in front of the camera count. Two bearings on the horizon: none, as y says nothing.
    """
    dx, dy, dz = X1[0] - X2[0], X1[1] - X2[1], X1[2] - X2[2]
    along = math.hypot(b1[1], b2[1])
    level = dx * dx + dz * dz
    if along < 1e-9 or level < 1e-18:
        return 0
    p1, p2 = dy * b1[1] / (along * along), -dy * b2[1] / (along * along)  # depths: (p1, p2) + w (q1, q2)
    q1, q2 = b2[1] / along, b1[1] / along
    px, pz = p1 * b1[0] - p2 * b2[0], p1 * b1[2] - p2 * b2[2]
    qx, qz = q1 * b1[0] - q2 * b2[0], q1 * b1[2] - q2 * b2[2]
    a, b, c = qx * qx + qz * qz, px * qx + pz * qz, px * px + pz * pz - level
    discriminant = b * b - a * c
    if a < 1e-18 or discriminant < 0:
        return 0
    found = 0
    far = -b - math.copysign(math.sqrt(discriminant), b)  # the root without cancellation; the other is c / far
    for k in range(2):
        if k == 1 and (discriminant == 0 or far == 0):
            break
        w = far / a if k == 0 else c / far
        l1, l2 = p1 + w * q1, p2 + w * q2
        if l1 <= 0 or l2 <= 0:
            continue
        vx, vz = px + w * qx, pz + w * qz
        cos, sin = (vx * dx + vz * dz) / level, (vx * dz - vz * dx) / level
        yaws[found, 0], yaws[found, 1] = cos, sin
        shifts[found, 0] = l1 * b1[0] - (cos * X1[0] + sin * X1[2])
        shifts[found, 1] = l1 * b1[1] - X1[1]
        shifts[found, 2] = l1 * b1[2] - (cos * X1[2] - sin * X1[0])
        found += 1
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _to_camera(camera_from_level, yaw, shift, R, t):
    """R and t of the camera as it is held from the yaw and the translation of the level one, in place."""
    cos, sin = yaw[0], yaw[1]
    for k in range(3):
        a, b, c = camera_from_level[k, 0], camera_from_level[k, 1], camera_from_level[k, 2]
        R[k, 0], R[k, 1], R[k, 2] = a * cos - c * sin, b, a * sin + c * cos
        t[k] = a * shift[0] + b * shift[1] + c * shift[2]


@njit(nogil=True, cache=True, error_model="numpy")
def samples_needed(share, confidence):
    """How many pairs until one is free of outliers with this probability, where `share` of the matches are inliers."""
    good = share * share
    if good <= 1e-12:
        return np.inf
    return math.log(1 - confidence) / math.log(1 - good) if good < 1 - 1e-12 else 1.0


@njit(nogil=True, cache=True, error_model="numpy")
def search_upright(
    rays, points, camera_from_level, wide, narrow, least_samples, most_samples, confidence, all_after, seed
):
    """R (3, 3) and t (3,) of lowest MSAC cost at the narrow threshold, its cost, its inliers, and the samples drawn.

    rays (N, 2) of the camera as it is held, best matches first; points (N, 3) in a frame whose y axis is gravity's;
    camera_from_level (3, 3): the rotation that takes (0, 1, 0) to gravity in the camera. Each pair is scored at the
    wide threshold, which forgives an error of that direction; one that comes near the best is freed and improved down
    to the narrow one. all_after: pairs until all matches take part; 0: all at once. N >= 2; no pose: cost is inf.
    """
    num = rays.shape[0]
    bearings = np.empty((num, 3))
    for i in range(num):
        x, y, z = rays[i, 0], rays[i, 1], 1.0
        norm = math.sqrt(x * x + y * y + 1.0)
        for k in range(3):
            level = camera_from_level[0, k] * x + camera_from_level[1, k] * y + camera_from_level[2, k] * z
            bearings[i, k] = level / norm
    state = np.array([seed], np.uint64)
    yaws, shifts = np.empty((2, 2)), np.empty((2, 3))
    R, t = np.empty((3, 3)), np.empty(3)
    best_R, best_t = np.eye(3), np.zeros(3)
    best, inliers, best_wide = np.inf, 0, np.inf
    needed = np.float64(most_samples)
    drawn = 0
    margin = ALMOST * wide * wide
    while drawn < most_samples and (drawn < least_samples or drawn < needed):
        drawn += 1
        pool = num
        if drawn < all_after:
            pool = min(num, max(8, np.int64(math.ceil(num * math.sqrt(drawn / all_after)))))
        i = random_below(state, pool)
        j = random_below(state, pool - 1)
        j += j >= i
        for k in range(solve_upright(bearings[i], bearings[j], points[i], points[j], yaws, shifts)):
            _to_camera(camera_from_level, yaws[k], shifts[k], R, t)
            limit = best_wide + margin
            cost, _ = msac(rays, points, R, t, wide, limit)
            if cost >= limit:
                continue
            best_wide = min(best_wide, cost)
            improve(rays, points, R, t, wide, narrow)
            cost, count = msac(rays, points, R, t, narrow, best)
            if cost < best:
                best, inliers = cost, count
                best_R[:], best_t[:] = R, t
                needed = samples_needed(count / num, confidence)
    return best_R, best_t, best, inliers, drawn
