"""Robust refinement of a pose: the minimum, its covariance, and what a prior adds."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime, least_squares
from scipy.spatial.transform import Rotation

from localize.geometry.poses import pose_error
from localize.geometry.refine import refine_pose
from localize.kernels.pose_refinement import reprojection_sums
from localize.types import Pose, Prior
from tests.conftest import random_pose

FOCAL = 500.0


def projections(pose: Pose, xyz: np.ndarray) -> np.ndarray:
    X = xyz @ pose.rotation.T + pose.translation
    return FOCAL * X[:, :2] / X[:, 2:]


def generated(seed: int, n: int, noise_px: float, outliers: int = 0):
    rng = np.random.default_rng(seed)
    pose, xyz = random_pose(rng), rng.uniform(-1.5, 1.5, (n, 3))
    xy = projections(pose, xyz) + noise_px * rng.normal(size=(n, 2))
    xy[:outliers] += rng.uniform(20, 60, (outliers, 2))
    return pose, xyz, xy


def moved(pose: Pose, six: np.ndarray) -> Pose:
    turn = Rotation.from_rotvec(six[:3]).as_matrix()
    return Pose(turn @ pose.rotation, turn @ pose.translation + six[3:])


def slow_cost(pose: Pose, xy, xyz, scale: float) -> float:
    squared = ((projections(pose, xyz) - xy) ** 2).sum(1)
    return float(0.5 * scale**2 * np.log1p(squared / scale**2).sum())


def test_sums_are_the_cost_and_its_derivatives():
    pose, xyz, xy = generated(0, 30, 2.0)
    hessian, gradient = np.empty((6, 6)), np.empty(6)
    cost = reprojection_sums(pose.rotation, pose.translation, xy, xyz, FOCAL, 3.0, hessian, gradient)
    assert cost == pytest.approx(slow_cost(pose, xy, xyz, 3.0))
    slope = approx_fprime(np.zeros(6), lambda six: slow_cost(moved(pose, six), xy, xyz, 3.0), 1e-7)
    np.testing.assert_allclose(gradient, slope, rtol=2e-3, atol=0.05)
    np.testing.assert_array_equal(hessian, hessian.T)


def test_the_minimum_is_the_robust_one():
    truth, xyz, xy = generated(1, 100, 0.5, outliers=20)
    start = moved(truth, np.array([0.02, -0.03, 0.02, 0.1, -0.1, 0.15]))
    found = refine_pose(xy, xyz, FOCAL, start, 2.0)

    def residuals(six):  # scipy's Cauchy loss takes squared lengths of single numbers
        errors = projections(moved(start, six), xyz) - xy
        return np.sqrt(4.0 * np.log1p((errors**2).sum(1) / 4.0))

    slow = moved(start, least_squares(residuals, np.zeros(6), xtol=1e-12, ftol=1e-12).x)
    assert pose_error(found.pose, slow)[0] < 1e-4
    assert pose_error(found.pose, truth)[0] < 0.02
    assert 0.3 < found.sigma_px < 0.9  # a coordinate of an inlier is 0.5 px off


def test_covariance_is_that_of_repeated_measurements():
    """500 times other noise: the errors in the camera's tangent space have the covariance that each fit claims."""
    rng = np.random.default_rng(2)
    truth, xyz, _ = generated(2, 60, 0.0)
    errors, claimed = np.empty((500, 6)), np.zeros((6, 6))
    for error in errors:
        fit = refine_pose(projections(truth, xyz) + rng.normal(size=(60, 2)), xyz, FOCAL, truth, 2.0)
        error[:3] = Rotation.from_matrix(fit.pose.rotation @ truth.rotation.T).as_rotvec()
        error[3:] = fit.pose.translation - fit.pose.rotation @ truth.rotation.T @ truth.translation
        claimed += fit.covariance / 500
    real = np.cov(errors.T)
    np.testing.assert_allclose(np.sqrt(np.diag(claimed)), np.sqrt(np.diag(real)), rtol=0.15)
    apart = np.linalg.solve(np.linalg.cholesky(claimed), errors.T)
    assert np.mean((apart**2).sum(0)) == pytest.approx(6, rel=0.15)  # chi-square of six


def test_a_prior_decides_what_few_points_leave_open():
    truth, xyz, xy = generated(3, 60, 1.0)
    rotated = truth.rotation @ np.array([0.0, 0.0, -1.0])
    alone = refine_pose(xy[:4], xyz[:4], FOCAL, truth, 2.0)
    prior = Prior(gravity=rotated, gravity_deg=0.1, position=truth.center, radius_m=0.01)
    helped = refine_pose(xy[:4], xyz[:4], FOCAL, alone.pose, 2.0, prior)
    assert pose_error(helped.pose, truth)[0] < 0.01 < pose_error(alone.pose, truth)[0]
    assert np.trace(helped.covariance) < 0.3 * np.trace(alone.covariance)
    many = refine_pose(xy, xyz, FOCAL, truth, 2.0, Prior(position=truth.center + 0.2, radius_m=2.0))
    assert pose_error(many.pose, truth)[0] < 0.02  # sixty points know better than a loose prior


def test_points_that_say_nothing_have_no_covariance():
    truth, xyz, xy = generated(4, 3, 0.0)
    assert refine_pose(xy, xyz, FOCAL, truth, 2.0).covariance is None
