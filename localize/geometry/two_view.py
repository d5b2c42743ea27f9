"""What two known poses say about a match: the epipolar line, and how far from it the match lies."""

import numpy as np

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
