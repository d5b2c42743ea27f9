"""Robust refinement of a pose: Levenberg-Marquardt on reprojection errors, with what a prior says as further errors."""

import math

import numpy as np
from numba import njit

SMALL = 1e-7  # relative gain of a step after which no more is worth while
MAX_DAMPING = 1e6


@njit(nogil=True, cache=True)
def refine(R, t, xy, xyz, focal_px, scale_px, gravity, position, max_steps):
    """(R, t) near R (3, 3), t (3,) of least cost, see `sums`; Levenberg-Marquardt, at most max_steps tries."""
    hessian, gradient = np.empty((6, 6)), np.empty(6)
    next_hessian, next_gradient = np.empty((6, 6)), np.empty(6)
    cost = sums(R, t, xy, xyz, focal_px, scale_px, gravity, position, hessian, gradient)
    damping = 1e-4
    for _ in range(max_steps):
        damped = hessian.copy()
        for a in range(6):
            damped[a, a] += damping * hessian[a, a] + 1e-12
        step = -np.linalg.solve(damped, gradient)
        turn = rotation(step[:3])
        new_R, new_t = turn @ R, turn @ t + step[3:]
        new = sums(new_R, new_t, xy, xyz, focal_px, scale_px, gravity, position, next_hessian, next_gradient)
        if not new < cost:
            damping *= 10.0
            if damping > MAX_DAMPING:
                break
            continue
        gain = cost - new
        R, t, cost, damping = new_R, new_t, new, max(damping / 10.0, 1e-9)
        hessian[:], gradient[:] = next_hessian, next_gradient
        if gain < SMALL * new:
            break
    return R, t


@njit(nogil=True, cache=True)
def rotation(w):
    """The rotation (3, 3) by |w| rad about w (3,): Rodrigues' formula."""
    angle = math.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    K = cross(w)
    if angle < 1e-12:
        return np.eye(3) + K
    return np.eye(3) + math.sin(angle) / angle * K + (1.0 - math.cos(angle)) / (angle * angle) * (K @ K)


@njit(nogil=True, cache=True)
def cross(v):
    """The matrix (3, 3) of the cross product with v (3,)."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


@njit(nogil=True, cache=True)
def sums(R, t, xy, xyz, focal_px, scale_px, gravity, position, hessian, gradient):
    """Gauss-Newton's hessian (6, 6) and gradient (6,), written there; returns the cost.

    xy (M, 2): undistorted positions times focal_px, from the principal point. The six: rotation (rad), then
    translation, of a camera frame that moves: X' = exp(w) X + v. Cost: the sum of c^2 log(1 + r^2 / c^2) / 2 with r the
    length of the error in px and c = scale_px (Cauchy); points behind the camera count as far away. gravity (3, 3):
    down in the camera, down in the world, and in the first place of the last row 1 / variance (rad^-2), 0 = none.
    position (4, 3): the camera centre (m), then the inverse of its covariance, zeros = none.
    """
    hessian[:] = 0.0
    gradient[:] = 0.0
    cost, squared_scale = 0.0, scale_px * scale_px
    jx, jy = np.empty(6), np.empty(6)
    for i in range(xy.shape[0]):
        x = R[0, 0] * xyz[i, 0] + R[0, 1] * xyz[i, 1] + R[0, 2] * xyz[i, 2] + t[0]
        y = R[1, 0] * xyz[i, 0] + R[1, 1] * xyz[i, 1] + R[1, 2] * xyz[i, 2] + t[1]
        z = R[2, 0] * xyz[i, 0] + R[2, 1] * xyz[i, 1] + R[2, 2] * xyz[i, 2] + t[2]
        if z < 1e-9:
            cost += 0.5 * squared_scale * math.log1p(1e6)
            continue
        u, v = x / z, y / z
        ex, ey = focal_px * u - xy[i, 0], focal_px * v - xy[i, 1]
        squared = (ex * ex + ey * ey) / squared_scale
        cost += 0.5 * squared_scale * math.log1p(squared)
        weight = 1.0 / (1.0 + squared)
        f, d = focal_px, focal_px / z
        jx[0], jx[1], jx[2], jx[3], jx[4], jx[5] = -f * u * v, f * (1.0 + u * u), -f * v, d, 0.0, -d * u
        jy[0], jy[1], jy[2], jy[3], jy[4], jy[5] = -f * (1.0 + v * v), f * u * v, f * u, 0.0, d, -d * v
        for a in range(6):
            gradient[a] += weight * (jx[a] * ex + jy[a] * ey)
            for b in range(a, 6):
                hessian[a, b] += weight * (jx[a] * jx[b] + jy[a] * jy[b])
    for a in range(6):
        for b in range(a):
            hessian[a, b] = hessian[b, a]
    return cost + _prior_sums(R, t, gravity, position, hessian, gradient)


@njit(nogil=True, cache=True)
def _prior_sums(R, t, gravity, position, hessian, gradient):
    """What the prior adds, in place; one standard deviation of it counts as one pixel does."""
    cost = 0.0
    if gravity[2, 0] > 0.0:
        down = R @ gravity[1]
        error, J = down - gravity[0], -cross(down)
        gradient[:3] += gravity[2, 0] * (J.T @ error)
        hessian[:3, :3] += gravity[2, 0] * (J.T @ J)
        cost += 0.5 * gravity[2, 0] * (error @ error)
    information = position[1:]
    if information[0, 0] > 0.0:
        back = np.ascontiguousarray(R.T)
        error = -back @ t - position[0]
        weighted = information @ error
        gradient[3:] -= R @ weighted
        hessian[3:, 3:] += R @ information @ back
        cost += 0.5 * (error @ weighted)
    return cost
