"""Pose, focal length and one radial coefficient that fit matches best, by robust least squares, with their covariance.

Whether matches determine a focal length at all is seen from its standard deviation: a photo that looks squarely at a
plane fits every focal length from another distance.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from localize.types import Pose

MAX_STEPS = 30
SMALL = 1e-6  # relative gain of a step after which nothing more is to be had
PIXEL_SD = 0.1  # px, that no keypoint is surer than
FREE = ("pose", "focal", "radial")
_SLICES = {"pose": range(6), "focal": range(6, 7), "radial": range(7, 8)}


@dataclass(frozen=True, eq=False)
class Lens:
    """What projects X to focal_px (1 + radial r^2) (X/Z, Y/Z) from the principal point, r^2 of (X/Z, Y/Z)."""

    pose: Pose
    focal_px: float
    radial: float = 0.0


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is known beforehand: the log of the focal length and the radial coefficient, each with a standard deviation.

    One standard deviation counts as much as an error of one pixel.
    """

    focal_px: float
    focal_sd: float = 1.0  # of the log
    radial: float = 0.0
    radial_sd: float = 0.1


@dataclass(frozen=True, eq=False)
class FittedLens:
    """A lens with what the matches say of it."""

    lens: Lens
    cost: float  # half of the sum of Cauchy costs, px^2; beliefs included
    sigma_px: float  # robust standard deviation of a coordinate of a keypoint
    covariance: np.ndarray | None  # (8, 8) of rotation, translation (see geometry/refine.py), log focal, radial

    @property
    def focal_sd(self) -> float:
        """Standard deviation of the focal length as a share of it; inf where nothing determines it."""
        return np.inf if self.covariance is None else float(np.sqrt(self.covariance[6, 6]))

    @property
    def radial_sd(self) -> float:
        """Standard deviation of the radial coefficient."""
        return np.inf if self.covariance is None else float(np.sqrt(self.covariance[7, 7]))


def errors_of(lens: Lens, xy: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Reprojection errors (M,) px of positions xy (M, 2) px from the principal point; inf behind the camera."""
    X = xyz @ lens.pose.rotation.T + lens.pose.translation
    front = X[:, 2] > 1e-9
    n = X[:, :2] / np.where(front, X[:, 2], 1)[:, None]
    there = lens.focal_px * (1 + lens.radial * (n**2).sum(1, keepdims=True)) * n
    return np.where(front, np.linalg.norm(there - xy, axis=1), np.inf)


def fit_lens(
    xy: np.ndarray, xyz: np.ndarray, lens: Lens, scale_px: float, beliefs: Beliefs, free: tuple[str, ...] = FREE
) -> FittedLens:
    """The lens near `lens` of least Cauchy cost (Levenberg-Marquardt); of pose, focal and radial only `free` moves.

    xy (M, 2) px from the principal point, xyz (M, 3) m; scale_px: error from which on a match counts less and less.
    """
    use = np.concatenate([_SLICES[part] for part in free])
    hessian, gradient, cost = _sums(lens, xy, xyz, scale_px, beliefs)
    damping = 1e-4
    for _ in range(MAX_STEPS):
        h = hessian[np.ix_(use, use)]
        step = np.zeros(8)
        try:
            step[use] = -np.linalg.solve(h + damping * np.diag(np.diag(h) + 1e-12), gradient[use])
        except np.linalg.LinAlgError:
            break
        moved = _moved(lens, step)
        new = _sums(moved, xy, xyz, scale_px, beliefs)
        if not new[2] < cost:
            damping *= 10
            if damping > 1e6:
                break
            continue
        gain, (hessian, gradient, cost), lens = (cost - new[2]) / max(cost, 1e-12), new, moved
        damping = max(damping / 10, 1e-9)
        if gain < SMALL:
            break
    u, _, vt = np.linalg.svd(lens.pose.rotation)  # products of rotations drift
    lens = Lens(Pose(u @ vt, lens.pose.translation), lens.focal_px, lens.radial)
    return FittedLens(lens, cost, *_uncertainty(lens, xy, xyz, scale_px, beliefs, use))


def _moved(lens: Lens, step: np.ndarray) -> Lens:
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    u, _, vt = np.linalg.svd(turn @ lens.pose.rotation)
    pose = Pose(u @ vt, turn @ lens.pose.translation + step[3:6])
    return Lens(pose, lens.focal_px * float(np.exp(np.clip(step[6], -1, 1))), lens.radial + float(step[7]))


def _linear(lens: Lens, xy: np.ndarray, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors (M, 2) px and their derivatives (M, 2, 8) by rotation, translation, log focal length, radial."""
    X = xyz @ lens.pose.rotation.T + lens.pose.translation
    n = X[:, :2] / X[:, 2:]
    r2 = (n**2).sum(1)[:, None]
    there = lens.focal_px * (1 + lens.radial * r2) * n
    bent = 2 * lens.radial * n[:, :, None] * n[:, None, :] + (1 + lens.radial * r2)[:, :, None] * np.eye(2)
    by_X = np.empty((len(X), 2, 3))
    by_X[:, :, :2] = lens.focal_px * bent / X[:, 2, None, None]
    by_X[:, :, 2] = -(by_X[:, :, :2] * n[:, None, :]).sum(2)
    jacobian = np.empty((len(X), 2, 8))
    jacobian[:, :, :3] = np.cross(X[:, None, :], by_X)  # X' = X + w x X: the derivative by w is X x (row)
    jacobian[:, :, 3:6] = by_X
    jacobian[:, :, 6] = there
    jacobian[:, :, 7] = lens.focal_px * r2 * n
    return there - xy, jacobian


def _sums(lens: Lens, xy, xyz, scale_px: float, beliefs: Beliefs) -> tuple[np.ndarray, np.ndarray, float]:
    """(hessian (8, 8), gradient (8,), cost); a point behind the camera makes the cost infinite."""
    X = xyz @ lens.pose.rotation[2] + lens.pose.translation[2]
    if len(X) and X.min() < 1e-9:
        return np.eye(8), np.zeros(8), np.inf
    error, jacobian = _linear(lens, xy, xyz)
    ratio = (error**2).sum(1) / scale_px**2
    weighted = jacobian / (1 + ratio)[:, None, None]
    hessian = np.einsum("mij,mik->jk", weighted, jacobian, optimize=True)
    gradient = np.einsum("mij,mi->j", weighted, error, optimize=True)
    off, weight = _off_belief(lens, beliefs)
    hessian[[6, 7], [6, 7]] += weight
    gradient[6:] += weight * off
    return hessian, gradient, float(0.5 * scale_px**2 * np.log1p(ratio).sum() + 0.5 * (weight * off**2).sum())


def _off_belief(lens: Lens, beliefs: Beliefs) -> tuple[np.ndarray, np.ndarray]:
    """(log focal length, radial) less what was believed, and the weights of their squares."""
    off = np.array([np.log(lens.focal_px / beliefs.focal_px), lens.radial - beliefs.radial])
    return off, np.array([beliefs.focal_sd, beliefs.radial_sd]) ** -2.0


def _uncertainty(lens: Lens, xy, xyz, scale_px, beliefs: Beliefs, use) -> tuple[float, np.ndarray | None]:
    """(sigma_px, covariance (8, 8), zero in what was held; None where the matches leave something open).

    Of an M-estimate: Huber, Robust Statistics, 1981, eq. 7.6.5, as in geometry/refine.py.
    """
    free = 2 * len(xy) - len(use)
    if free <= 0:
        return np.inf, None
    error, jacobian = _linear(lens, xy, xyz)
    weight = 1 / (1 + (error**2).sum(1) / scale_px**2)
    sigma_px = float(np.sqrt((weight**2 * (error**2).sum(1)).sum() / free) / (weight**2).mean())
    sigma_px = max(sigma_px, PIXEL_SD)
    hessian = np.einsum("mij,mik->jk", jacobian, jacobian, optimize=True) / sigma_px**2
    hessian[[6, 7], [6, 7]] += _off_belief(lens, beliefs)[1]
    hessian = hessian[np.ix_(use, use)]
    scaled = hessian / np.sqrt(np.outer(np.diag(hessian), np.diag(hessian)))
    if not (np.isfinite(scaled).all() and np.linalg.eigvalsh(scaled)[0] > 1e-12):
        return sigma_px, None
    covariance = np.zeros((8, 8))
    covariance[np.ix_(use, use)] = np.linalg.inv(hessian)
    return sigma_px, covariance
