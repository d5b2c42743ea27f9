"""The pose that fits matches best, by robust least squares, and how uncertain it is."""

from dataclasses import dataclass

import numpy as np

from localize.geometry.poses import nearest_rotation
from localize.kernels.pose_refinement import refine, sums
from localize.types import Pose, Prior

MAX_STEPS = 20
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
    said = _said(prior)
    R, t = np.ascontiguousarray(pose.rotation), np.ascontiguousarray(pose.translation)
    R, t = refine(R, t, xy, xyz, focal_px, scale_px, *said, MAX_STEPS)
    R = nearest_rotation(R)  # products of rotations drift
    covariance, sigma_px = _covariance(R, t, xy, xyz, focal_px, scale_px, said)
    return RefinedPose(Pose(R, t), covariance, sigma_px)


def _covariance(R, t, xy, xyz, focal_px: float, scale_px: float, said: tuple) -> tuple[np.ndarray | None, float]:
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
    information, gradient = np.empty((6, 6)), np.empty(6)
    sums(
        R, t, xy, xyz, focal_px, 1e9 * scale_px, *_said(None), information, gradient
    )  # so far off that no weight sinks
    information /= sigma_px**2
    of_prior = np.empty((6, 6))
    sums(R, t, xy[:0], xyz[:0], focal_px, scale_px, *said, of_prior, gradient)
    values = np.linalg.eigvalsh(information + of_prior)
    if not values[0] > 1e-12 * values[-1]:
        return None, sigma_px
    return np.linalg.inv(information + of_prior), sigma_px


def _said(prior: Prior | None) -> tuple[np.ndarray, np.ndarray]:
    """The prior's gravity and position as the kernel reads them."""
    gravity, position = np.zeros((3, 3)), np.zeros((4, 3))
    if prior is not None and prior.gravity is not None:
        gravity[0], gravity[1], gravity[2, 0] = (
            prior.gravity,
            prior.gravity_in_world,
            np.radians(prior.gravity_deg) ** -2,
        )
    if prior is not None and prior.position is not None:
        spread = np.eye(3) * (prior.radius_m / 2) ** 2 if prior.covariance is None else prior.covariance
        position[0], position[1:] = prior.position, np.linalg.inv(spread)
    return gravity, position
