"""The pose that fits matches best, by robust least squares, and how uncertain it is."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from localize.geometry.poses import nearest_rotation
from localize.kernels.pose_refinement import reprojection_sums
from localize.types import Pose, Prior

MAX_STEPS = 20
SMALL = 1e-7  # relative gain of a step after which no more is worth while
MAX_DAMPING = 1e6
PIXEL_SD = 0.1  # px, that no keypoint is surer than: a covariance of perfect data is not zero


@dataclass(frozen=True, eq=False)
class RefinedPose:
    """A pose with the covariance of its error.

    covariance (6, 6): of (w, v) with X_cam' = exp(w) X_cam + v, so the rotation (rad) about the camera's axes, and the
    translation (m) along them; to first order -v is the error of the camera centre, in the camera's axes.
    """

    pose: Pose
    covariance: np.ndarray | None  # None where the points do not determine the pose
    sigma_px: float  # robust standard deviation of a coordinate of a keypoint


def refine_pose(
    xy: np.ndarray, xyz: np.ndarray, focal_px: float, pose: Pose, scale_px: float, prior: Prior | None = None
) -> RefinedPose:
    """The pose near `pose` of least Cauchy cost (Levenberg-Marquardt), with its covariance.

    xy (M, 2): undistorted positions times focal_px, from the principal point; xyz (M, 3) m; scale_px: error from which
    on a match counts less and less. A prior's gravity and position are observations like the others.
    """
    xy, xyz = np.ascontiguousarray(xy, np.float64), np.ascontiguousarray(xyz, np.float64)
    matches = xy, xyz, focal_px, scale_px
    R, t = _least(np.ascontiguousarray(pose.rotation), np.ascontiguousarray(pose.translation), matches, prior)
    R = nearest_rotation(R)  # products of rotations drift
    covariance, sigma_px = _covariance(R, t, *matches, prior)
    return RefinedPose(Pose(R, t), covariance, sigma_px)


def _least(R: np.ndarray, t: np.ndarray, matches: tuple, prior: Prior | None) -> tuple[np.ndarray, np.ndarray]:
    """(R, t) near the given ones of least cost, by at most MAX_STEPS tries."""
    cost, hessian, gradient = _sums(R, t, matches, prior)
    damping = 1e-4
    for _ in range(MAX_STEPS):
        diagonal = np.diag(damping * hessian.diagonal() + 1e-12)
        step = -np.linalg.solve(hessian + diagonal, gradient)
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        new_R, new_t = turn @ R, turn @ t + step[3:]
        new = _sums(new_R, new_t, matches, prior)
        if not new[0] < cost:
            damping *= 10.0
            if damping > MAX_DAMPING:
                break
            continue
        gain = cost - new[0]
        R, t, damping = new_R, new_t, max(damping / 10.0, 1e-9)
        cost, hessian, gradient = new
        if gain < SMALL * cost:
            break
    return R, t


def _sums(R: np.ndarray, t: np.ndarray, matches: tuple, prior: Prior | None) -> tuple[float, np.ndarray, np.ndarray]:
    """(cost, hessian (6, 6), gradient (6,)): the matches' as `reprojection_sums` says, and what the prior adds; one
    standard deviation of it counts as one pixel does."""
    hessian, gradient = np.empty((6, 6)), np.empty(6)
    cost = reprojection_sums(R, t, *matches, hessian, gradient)
    if prior is not None and prior.gravity is not None:
        weight = np.radians(prior.gravity_deg) ** -2
        down = R @ prior.gravity_in_world
        error, J = down - prior.gravity, -_cross(down)
        gradient[:3] += weight * (J.T @ error)
        hessian[:3, :3] += weight * (J.T @ J)
        cost += 0.5 * weight * (error @ error)
    if prior is not None and prior.position is not None:
        information, error = np.linalg.inv(prior.position_covariance), -R.T @ t - prior.position
        weighted = information @ error
        gradient[3:] -= R @ weighted
        hessian[3:, 3:] += R @ information @ R.T
        cost += 0.5 * (error @ weighted)
    return cost, hessian, gradient


def _cross(v: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) of the cross product with v (3,)."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def _covariance(
    R, t, xy, xyz, focal_px: float, scale_px: float, prior: Prior | None
) -> tuple[np.ndarray | None, float]:
    """(covariance (6, 6) or None, robust standard deviation of a coordinate in px) of an M-estimate.

    Huber, Robust Statistics, 1981, section 7.6: the inverse of J^T J, times the mean of psi^2 over the square of the
    mean of psi'. psi of a Cauchy cost is w e with w = 1 / (1 + r^2 / c^2), and psi' is w^2 on average over the
    directions of e. 2 M - 6 degrees of freedom.
    """
    free = 2 * len(xy) - 6
    X = xyz @ R.T + t
    if free <= 0 or (X[:, 2] < 1e-9).any():
        return None, np.inf
    errors = focal_px * X[:, :2] / X[:, 2:] - xy
    weight = 1 / (1 + (errors**2).sum(1) / scale_px**2)
    variance = (weight[:, None] ** 2 * errors**2).sum() / free / (weight**2).mean() ** 2
    sigma_px = max(float(np.sqrt(variance)), PIXEL_SD)
    far = 1e9 * scale_px  # so far off that no weight sinks
    information = _sums(R, t, (xy, xyz, focal_px, far), None)[1] / sigma_px**2
    of_prior = _sums(R, t, (xy[:0], xyz[:0], focal_px, scale_px), prior)[1]
    values = np.linalg.eigvalsh(information + of_prior)
    if not values[0] > 1e-12 * values[-1]:
        return None, sigma_px
    return np.linalg.inv(information + of_prior), sigma_px
