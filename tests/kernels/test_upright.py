"""The upright two-point pose, its score and its improvement, against generated truth and slow twins."""

import numpy as np
import poselib

from localize.geometry.poses import rotation_from_qvec
from localize.kernels.free_pose import improve, msac
from localize.kernels.upright import search_upright, solve_upright


def about_y(cos: float, sin: float) -> np.ndarray:
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def two_points(rng):
    """A level camera, and unit bearings (2, 3) of points (2, 3) in front of it."""
    yaw = rng.uniform(0, 2 * np.pi)
    R, t = about_y(np.cos(yaw), np.sin(yaw)), rng.normal(size=3)
    bearings = rng.normal(size=(2, 3))
    bearings /= np.linalg.norm(bearings, axis=1, keepdims=True)
    return R, t, bearings, (bearings * rng.uniform(1, 10, (2, 1)) - t) @ R


def solved(bearings, points) -> list[np.ndarray]:
    """Solutions of the kernel, each (3, 4)."""
    yaws, shifts = np.empty((2, 2)), np.empty((2, 3))
    num = solve_upright(*bearings, *points, yaws, shifts)
    return [np.column_stack([about_y(*yaws[k]), shifts[k]]) for k in range(num)]


def slow_upright(bearings, points) -> list[np.ndarray]:
    """b x (R X + t) = 0 is linear in cos, sin, t and 1: the null space of it, where cos^2 + sin^2 = 1."""
    rows = []
    for b, (x, y, z) in zip(bearings, points, strict=True):
        seen = np.array([[x, z, 1, 0, 0, 0], [0, 0, 0, 1, 0, y], [z, -x, 0, 0, 1, 0]])  # of cos, sin, tx, ty, tz, 1
        rows.append(np.array([[0, -b[2], b[1]], [b[2], 0, -b[0]], [-b[1], b[0], 0]]) @ seen)
    u, v = np.linalg.svd(np.vstack(rows))[2][4:]
    # n = a u + d v, of which n[5] = 1 and n[0]^2 + n[1]^2 = 1: d = k a, then a^2 (...) = n[5]^2 = a^2 (u5 + k v5)^2
    squares = [w[0] ** 2 + w[1] ** 2 - w[5] ** 2 for w in (u, v)]
    mixed = u[0] * v[0] + u[1] * v[1] - u[5] * v[5]
    found = []
    for k in np.roots([squares[1], 2 * mixed, squares[0]]):
        if abs(k.imag) < 1e-12:
            cos, sin, *t, one = u + k.real * v
            pose = np.column_stack([about_y(cos / one, sin / one), np.array(t) / one])
            if (np.sum(bearings * (points @ pose[:, :3].T + pose[:, 3]), axis=1) > 0).all():
                found.append(pose)
    return found


def test_upright_solutions_are_the_truth_and_those_of_the_slow_twin():
    rng = np.random.default_rng(0)
    for _ in range(300):
        R, t, bearings, points = two_points(rng)
        ours, slow = solved(bearings, points), slow_upright(bearings, points)
        assert min(np.abs(pose - np.column_stack([R, t])).max() for pose in ours) < 1e-9
        assert len(ours) == len(slow)
        others = [*slow, *(p.Rt for p in poselib.up2p(bearings, points))]
        for pose in ours:
            assert min(np.abs(pose - other).max() for other in others) < 1e-6
    level = np.array([[0.6, 0, 0.8], [-0.6, 0, 0.8]])
    assert solved(level, level * 3) == []  # on the horizon, height says nothing
    assert solved(bearings, points[[0, 0]]) == []


def generated(rng, num: int = 200, noise: float = 0.0):
    """A camera in the world, what it sees (N, 2) of points (N, 3)."""
    R, t = rotation_from_qvec(rng.normal(size=4)), rng.normal(size=3)
    rays = rng.uniform(-0.5, 0.5, (num, 2))
    points = (np.column_stack([rays, np.ones(num)]) * rng.uniform(3, 20, (num, 1)) - t) @ R
    return R, t, rays + noise * rng.normal(size=(num, 2)), points


def test_msac_is_that_of_the_slow_twin():
    rng = np.random.default_rng(1)
    R, t, rays, points = generated(rng, noise=0.01)
    points[:40] = 2 * t @ -R - points[:40]  # behind the camera
    seen = points @ R.T + t
    error = np.sum((seen[:, :2] / seen[:, 2:] - rays) ** 2, axis=1)
    good = (error < 0.015**2) & (seen[:, 2] > 0)
    cost, inliers = msac(rays, points, R, t, 0.015, np.inf)
    np.testing.assert_allclose(cost, error[good].sum() + 0.015**2 * np.count_nonzero(~good), rtol=1e-12)
    assert inliers == np.count_nonzero(good)
    assert msac(rays, points, R, t, 0.015, cost / 2)[0] >= cost / 2  # it stops early, beyond the limit


def test_improvement_reaches_the_truth_among_outliers():
    R, t, rays, points = generated(np.random.default_rng(2))
    rays[:80] = np.random.default_rng(3).uniform(-0.5, 0.5, (80, 2))
    nearby, shift = R @ rotation_from_qvec([1, 0.01, -0.01, 0.005]), t + 0.05
    improve(rays, points, nearby, shift, 0.1, 1e-3)
    np.testing.assert_allclose(nearby, R, atol=1e-9)
    np.testing.assert_allclose(shift, t, atol=1e-9)


def test_search_finds_the_pose_among_nine_tenths_of_outliers_in_few_samples():
    R, t, rays, points = generated(np.random.default_rng(4), 500)
    rays[50:] = np.random.default_rng(5).uniform(-0.5, 0.5, (450, 2))
    settings = 0.01, 0.01, 100, 30_000, 0.9999, 0, 0
    found = search_upright(rays, points @ R.T, np.eye(3), *settings)  # R of the world is level here
    np.testing.assert_allclose(found[0], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(found[1], t, atol=1e-9)
    assert found[3] >= 50
    assert 300 < found[4] < 1000  # log(1e-4) / log(1 - 0.1^2) = 916, fewer by what outliers add
    again = search_upright(rays, points @ R.T, np.eye(3), *settings)
    np.testing.assert_array_equal(found[0], again[0])
