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
