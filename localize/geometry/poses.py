"""Rotations, quaternions (at file borders only) and pose errors."""

import numpy as np

from localize.types import Pose

UNIT = 0.01  # how far the length of a quaternion in a file may be from 1


def rotation_from_qvec(qvec_wxyz) -> np.ndarray:
    """Rotation matrix (3, 3) of a Hamilton quaternion w x y z, normalised first; ValueError if it is 0 or NaN."""
    q = np.asarray(qvec_wxyz, np.float64)
    norm = np.linalg.norm(q)
    if q.shape != (4,) or not np.isfinite(norm) or norm < 1e-9:
        raise ValueError(f"quaternion {q.tolist()} cannot be normalised")
    w, x, y, z = q / norm
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def check_qvec(qvec_wxyz: np.ndarray) -> None:
    """ValueError for a quaternion of a file whose length is not 1: no rounding, but something else in its place."""
    norm = np.linalg.norm(qvec_wxyz)
    if abs(norm - 1) > UNIT:
        shown = " ".join(f"{q:g}" for q in qvec_wxyz)
        raise ValueError(
            f"the quaternion {shown} has length {norm:.4g}, but must have 1: check the order of the fields"
        )


def pose_from_numbers(numbers) -> Pose:
    """cam_from_world of the seven numbers qw qx qy qz tx ty tz of a file; ValueError says what is wrong with them."""
    values = np.asarray(numbers, np.float64)
    rotation = rotation_from_qvec(values[:4])
    check_qvec(values[:4])
    return Pose(rotation, values[4:])


def qvec_from_rotation(R: np.ndarray) -> np.ndarray:
    """Unit quaternion w x y z with w >= 0 of a rotation matrix (Bar-Itzhack 2000: largest eigenvector)."""
    K = np.array([
        [R[0, 0] - R[1, 1] - R[2, 2], 0, 0, 0],
        [R[1, 0] + R[0, 1], R[1, 1] - R[0, 0] - R[2, 2], 0, 0],
        [R[2, 0] + R[0, 2], R[2, 1] + R[1, 2], R[2, 2] - R[0, 0] - R[1, 1], 0],
        [R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], R[0, 0] + R[1, 1] + R[2, 2]],
    ])  # fmt: skip
    x, y, z, w = np.linalg.eigh(K)[1][:, -1]
    q = np.array([w, x, y, z])
    return -q if w < 0 else q


def nearest_rotation(R: np.ndarray) -> np.ndarray:
    """The rotation closest to a matrix read from a file with few digits (SVD)."""
    u, _, vt = np.linalg.svd(R)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def composed(outer: Pose, inner: Pose) -> Pose:
    """The pose that applies `inner` first: c_from_a of outer = c_from_b and inner = b_from_a."""
    return Pose(outer.rotation @ inner.rotation, outer.rotation @ inner.translation + outer.translation)


def inverse(pose: Pose) -> Pose:
    """a_from_b of b_from_a."""
    return Pose(pose.rotation.T, pose.center)


def pose_error(estimate: Pose, truth: Pose) -> tuple[float, float]:
    """Distance of the camera centres (m) and angle between the orientations (deg).

    The angle comes from |R0 - R1| = 2 sqrt(2) sin(angle / 2), exact for small angles where arccos of the trace is not.
    """
    chord = np.linalg.norm(estimate.rotation - truth.rotation) / (2 * np.sqrt(2))
    return float(np.linalg.norm(estimate.center - truth.center)), float(2 * np.degrees(np.arcsin(min(1.0, chord))))
