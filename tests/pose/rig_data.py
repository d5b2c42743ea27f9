"""Generated rigs with known answers: three cameras, their matches, and the truth."""

import numpy as np

from localize.geometry.colmap import camera_rays
from localize.geometry.poses import composed, rotation_from_qvec
from localize.types import Camera, Features, Matches2D3D, Pose, View

PINHOLE = Camera("PINHOLE", 640, 480, [500.0, 510.0, 320.0, 240.0])
FOV = Camera("FOV", 640, 480, [400, 400, 320, 240, 0.9])  # PoseLib does not know this model


def turned(deg: float, center) -> Pose:
    """cam_from_rig of a camera turned about the vertical."""
    a = np.radians(deg)
    R = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    return Pose(R, -R @ np.asarray(center, float))


MOUNTS = [turned(0, (0, 0, 0)), turned(60, (0.3, 0, 0)), turned(-60, (-0.3, 0.1, 0))]


def rig_pose(seed: int) -> Pose:
    rng = np.random.default_rng(seed)
    return Pose(rotation_from_qvec(rng.normal(size=4)), 5 * rng.normal(size=3))


def view_of(pose: Pose, good: int, bad: int, seed: int, camera: Camera = PINHOLE, noise_px: float = 0.5) -> View:
    """A photo of `good` right and `bad` wrong matches with points 4 to 25 m away."""
    rng, n = np.random.default_rng(seed), good + bad
    xy = rng.uniform([0, 0], [640, 480], (n, 2))
    depth = rng.uniform(4, 25, (n, 1))
    points = (np.column_stack([camera_rays(camera, xy), np.ones(n)]) * depth - pose.translation) @ pose.rotation
    xy[:good] += noise_px * rng.normal(size=(good, 2))
    xy[good:] = rng.uniform([0, 0], [640, 480], (bad, 2))
    order, rows = rng.permutation(n), np.arange(n)
    matches = Matches2D3D(xy[order], points[order], rows, rows, np.zeros(n), np.ones(n))
    return View(Features(np.zeros((0, 2)), np.zeros((0, 8)), np.zeros(0)), matches, camera)


def rig_views(rig: Pose, good, bad: int, seed: int = 0, mounts=MOUNTS, cameras=(PINHOLE,) * 3) -> list[View]:
    """good: right matches of each photo."""
    return [
        view_of(composed(mount, rig), count, bad, 10 * seed + i, camera)
        for i, (mount, count, camera) in enumerate(zip(mounts, good, cameras, strict=True))
    ]
