"""Pose with the help of gravity: two matches make a pose; freed, as gravity is never exact; P3P where it is wrong."""

from collections.abc import Callable

import numpy as np

from localize.geometry.colmap import camera_rays
from localize.kernels.free_pose import improve, msac
from localize.kernels.upright import search_upright
from localize.pose.base import Ransac, checked, failed
from localize.pose.priors import gravity_agrees
from localize.types import Camera, Matches2D3D, PoseEstimate, Prior

_ALL_AFTER = 20_000  # pairs until all matches take part: after 300 it is the best eighth, after 5,000 half
_SLACK = 2.0  # standard deviations of gravity that the first threshold forgives


def solve_with_gravity(
    settings: Ransac,
    matches: Matches2D3D,
    camera: Camera,
    prior: Prior,
    p3p: Callable[[int], PoseEstimate],
    *,
    prosac: bool,
) -> PoseEstimate:
    """The better of a pose found with gravity and of one found without, by MSAC.

    p3p(max_iterations): the ordinary search. Where the upright one found clearly more inliers than chance would, and
    its pose, once freed, still agrees with gravity, it only has a glance (min_iterations).
    """
    rays = camera_rays(camera, matches.xy).copy()
    rays[~np.isfinite(rays).all(1)] = np.inf  # an inlier of no pose
    error_px = settings.error_px(camera)
    threshold = error_px / camera.focal_px
    upright = _search(settings, rays, matches.xyz, prior, threshold, _ALL_AFTER if prosac else 0)
    strong = upright.num_inliers >= 2 * _by_chance(len(matches), camera, error_px)
    strong = strong and gravity_agrees(prior, upright.pose)  # else it may be no more than a part of the right pose
    free = p3p(settings.min_iterations if strong else settings.max_iterations)
    costs = [_cost(rays, matches.xyz, estimate, threshold) for estimate in (upright, free)]
    return upright if costs[0] <= costs[1] else free


def _search(settings: Ransac, rays, points, prior: Prior, threshold: float, all_after: int) -> PoseEstimate:
    """By pairs, and a free refinement on what agrees; threshold on the plane z = 1."""
    usable = np.flatnonzero(np.isfinite(rays).all(1))
    if len(usable) < 2:
        return failed(len(rays), "the camera's distortion has no inverse where the matches lie")
    of, at = np.ascontiguousarray(rays[usable]), points[usable]
    R, t, found, _ = sample_pairs(settings, of, at, prior, threshold, all_after)
    if not found:
        return failed(len(rays), f"no pose agrees with gravity and the {len(rays)} matches")
    improve(of, at, R, t, threshold, threshold)
    return checked(R, t, inliers_of(rays, points, R, t, threshold))


def sample_pairs(settings: Ransac, rays, points, prior: Prior, threshold: float, all_after: int = 0) -> tuple:
    """R, t (cam_from_world), number of inliers, and number of pairs that LO-RANSAC drew; see `search_upright`."""
    level_from_world = rotation_from_y(prior.gravity_in_world).T
    R, t, _, inliers, samples = search_upright(
        rays,
        points @ level_from_world.T,
        rotation_from_y(prior.gravity),
        np.hypot(threshold, _SLACK * np.radians(prior.gravity_deg)),
        threshold,
        settings.min_iterations,
        settings.max_iterations,
        settings.confidence,
        all_after,
        settings.seed,
    )
    return R @ level_from_world, t, inliers, samples


def rotation_from_y(direction: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that takes (0, 1, 0) to a unit vector; about x where that is (0, -1, 0)."""
    x, y, z = direction
    if y < -1 + 1e-12:
        return np.diag([1.0, -1.0, -1.0])
    k = 1 / (1 + y)
    return np.array([[1 - k * x * x, x, -k * x * z], [-x, y, -z], [-k * x * z, z, 1 - k * z * z]])


def inliers_of(rays, points, R, t, threshold: float) -> np.ndarray:
    """(M,) bool: points in front of the camera and within the threshold of their rays (M, 2), on the plane z = 1."""
    seen = points @ R.T + t
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.linalg.norm(seen[:, :2] / seen[:, 2:] - rays, axis=1)
    return (seen[:, 2] > 0) & (off < threshold)


def _cost(rays, points, estimate: PoseEstimate, threshold: float) -> float:
    """MSAC; infinite without a pose."""
    if estimate.pose is None:
        return np.inf
    return msac(rays, points, estimate.pose.rotation, estimate.pose.translation, threshold, np.inf)[0]


def _by_chance(num_matches: int, camera: Camera, max_error_px: float) -> float:
    """Inliers that the best of many wrong poses may have: those that its unknowns buy, and 4 sd over the mean."""
    mean = num_matches * np.pi * max_error_px**2 / (camera.width * camera.height)
    return 6 + mean + 4 * np.sqrt(mean)
