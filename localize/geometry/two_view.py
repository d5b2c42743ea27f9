"""What two known poses say about a match: the epipolar line, and how far from it the match lies."""

import numpy as np
import poselib

from localize.geometry.poses import nearest_rotation
from localize.types import Pose


def essential_matrix(first: Pose, second: Pose) -> np.ndarray:
    """E (3, 3) with y^T E x = 0 for the rays x of the first and y of the second camera (Longuet-Higgins 1981)."""
    R = second.rotation @ first.rotation.T
    a, b, c = second.translation - R @ first.translation
    return np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]]) @ R


def sampson_error(E: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Sampson distance (N,) to the epipolar geometry of points x, y (N, 2) on the planes z = 1.

    First-order distance in the plane's unit (multiply by the squared focal length for pixels);
    Hartley & Zisserman, Multiple View Geometry, eq. 11.9.
    """
    xh = np.column_stack([x, np.ones(len(x))])
    yh = np.column_stack([y, np.ones(len(y))])
    Ex, Ety = xh @ E.T, yh @ E
    with np.errstate(invalid="ignore", divide="ignore"):
        return (yh * Ex).sum(1) ** 2 / (Ex[:, 0] ** 2 + Ex[:, 1] ** 2 + Ety[:, 0] ** 2 + Ety[:, 1] ** 2)


def could_meet(first: Pose, second: Pose, x: np.ndarray, y: np.ndarray, slack: np.ndarray | float) -> np.ndarray:
    """Which (N,) of the rays x, y (N, 2) on the planes z = 1 of two cameras can be of one point before both, (N,) bool.

    They pass each other within the slack (rad, at the image's centre), by Sampson's distance, in front of the cameras;
    or are as good as parallel, as to a point far away and without a baseline. Where x or y is NaN they cannot be.
    """
    aa, bb, ab, ta, tb = _products(first, second, x, y)
    parallel = (aa * bb - ab**2 <= slack**2 * aa * bb) & (ab > 0)
    before = (ta * bb < tb * ab) & (ta * ab < tb * aa)  # (t x b)(a x b) < 0 and (t x a)(a x b) < 0: both depths above 0
    return parallel | (before & (sampson_error(essential_matrix(first, second), x, y) <= slack**2))


def ray_angles(first: Pose, second: Pose, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Angles (N,) rad between the rays x, y (N, 2) on the planes z = 1 of two cameras, in the world."""
    aa, bb, ab, _, _ = _products(first, second, x, y)
    return np.arctan2(np.sqrt(np.maximum(0, aa * bb - ab**2)), ab)


def _products(first: Pose, second: Pose, x: np.ndarray, y: np.ndarray):
    """Dot products (N,) in the second camera's frame: of the rays a and b with themselves, each other and the baseline.

    Cross products come of them by Lagrange's identity, and cost less so.
    """
    R = second.rotation @ first.rotation.T
    t = second.translation - R @ first.translation
    a, b = np.column_stack([x, np.ones(len(x))]) @ R.T, np.column_stack([y, np.ones(len(y))])
    return 1 + (x**2).sum(1), 1 + (y**2).sum(1), (a * b).sum(1), a @ t, b @ t


def fit_some_pose(x: np.ndarray, y: np.ndarray, slack: float) -> np.ndarray:
    """Which (M,) of the rays x, y (M, 2) on the planes z = 1 fit a relative pose of their cameras, found by RANSAC.

    slack: as of `could_meet`. None do where there are fewer than five.
    """
    if len(x) < 5:
        return np.zeros(len(x), bool)
    camera = {"model": "PINHOLE", "width": 1, "height": 1, "params": [1.0, 1, 0, 0]}  # rays are its pixels
    options = {"max_epipolar_error": slack, "max_iterations": 500, "seed": 0}
    found, _ = poselib.estimate_relative_pose(x, y, camera, camera, options, {})
    return could_meet(Pose(np.eye(3), np.zeros(3)), Pose(nearest_rotation(found.R), found.t), x, y, slack)


def planes_through_baseline(first: Pose, second: Pose, x: np.ndarray, y: np.ndarray):
    """Where rays on the planes z = 1, (N, 2) of the first and (M, 2) of the second camera, lie about the baseline.

    Returns (N, 2) and (M, 2) rad: the angle of the half plane through both centres that holds the ray, and the angle
    between the ray and the direction from the first to the second centre. Rays to one point lie in one half plane, and
    the second's angle to the baseline is the larger one. ValueError where both centres are one.
    """
    baseline = second.center - first.center
    length = np.linalg.norm(baseline)
    if not length > 0:
        raise ValueError("two cameras with one centre have no baseline")
    axis = baseline / length
    u = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    found = []
    for pose, rays in ((first, x), (second, y)):
        a, b, c = (np.column_stack([rays, np.ones(len(rays))]) @ (pose.rotation @ np.column_stack([axis, u, v]))).T
        found.append(np.column_stack([np.arctan2(c, b), np.arctan2(np.hypot(b, c), a)]))
    return found
