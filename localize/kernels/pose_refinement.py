"""Robust sums over reprojection errors, of which steps towards the best pose are made."""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def reprojection_sums(R, t, xy, xyz, focal_px, scale_px, hessian, gradient):
    """Gauss-Newton's hessian (6, 6) and gradient (6,), written there; returns the cost.

    xy (M, 2): undistorted positions times focal_px, from the principal point. The six: rotation (rad), then
    translation, of a camera frame that moves: X' = exp(w) X + v. Cost: the sum of c^2 log(1 + r^2 / c^2) / 2 with r the
    length of the error in px and c = scale_px (Cauchy); points behind the camera count as far away.
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
    return cost
