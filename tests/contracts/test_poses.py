"""The contract of pose estimators, over all of them: poses of generated matches with known answers."""

import dataclasses

import numpy as np
import poselib
import pytest

from localize.geometry.colmap import to_pycolmap_camera
from localize.geometry.poses import pose_error
from localize.pose.colmap import Colmap
from localize.pose.poselib import PoseLib
from localize.types import Camera, Matches2D3D, Pose
from tests.conftest import PINHOLE, random_pose

ESTIMATORS = [PoseLib(), Colmap()]
FOV = Camera("FOV", 640, 480, [500, 500, 320, 240, 0.4])  # PoseLib does not know this model


def project(camera: Camera, pose: Pose, points: np.ndarray) -> np.ndarray:
    return np.asarray(to_pycolmap_camera(camera).img_from_cam(points @ pose.rotation.T + pose.translation))


def matches_of(camera, pose, n=200, outliers=0.4, noise_px=0.5, seed=0) -> Matches2D3D:
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1.5, 1.5, (n, 3))
    xy = project(camera, pose, points) + noise_px * rng.normal(size=(n, 2))
    wrong = rng.permutation(n)[: int(outliers * n)]
    xy[wrong] = rng.uniform(0, 480, (len(wrong), 2))
    rows = np.arange(n)
    return Matches2D3D(xy, points, rows, rows, np.zeros(n), np.ones(n))


@pytest.mark.parametrize("camera", [PINHOLE, Camera("SIMPLE_RADIAL", 640, 480, [500, 320, 240, -0.05]), FOV])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_pose_of_noisy_matches_with_outliers(estimator, camera):
    truth = random_pose(np.random.default_rng(1))
    matches = matches_of(camera, truth)
    estimate = estimator.estimate(matches, camera)
    metres, degrees = pose_error(estimate.pose, truth)
    assert metres < 0.02
    assert degrees < 0.3
    assert 115 <= estimate.num_inliers <= 135
    np.testing.assert_array_equal(estimator.estimate(matches, camera).pose.rotation, estimate.pose.rotation)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_halving_the_threshold_changes_the_inliers(estimator):
    matches = matches_of(PINHOLE, random_pose(np.random.default_rng(2)), noise_px=3)
    strict = dataclasses.replace(estimator, max_error_px=3.0).estimate(matches, PINHOLE)
    loose = dataclasses.replace(estimator, max_error_px=12.0).estimate(matches, PINHOLE)
    assert strict.num_inliers < loose.num_inliers - 20


def test_prosac_draws_from_the_best_matches():
    assert PoseLib().options(PINHOLE).keys() <= poselib.RansacOptions().keys()  # it ignores others in silence
    truth = random_pose(np.random.default_rng(4))
    good, bad = matches_of(PINHOLE, truth, 40, outliers=0), matches_of(PINHOLE, truth, 760, outliers=1, seed=1)
    best_first, worst_first = joined(good, bad), joined(bad, good)
    few = PoseLib(min_iterations=50, max_iterations=50)
    assert few.estimate(best_first, PINHOLE).num_inliers >= 40
    assert few.estimate(worst_first, PINHOLE).pose is None
    assert dataclasses.replace(few, prosac=False).estimate(best_first, PINHOLE).pose is None


def joined(first: Matches2D3D, second: Matches2D3D) -> Matches2D3D:
    columns = ("xy", "xyz", "keypoint", "point", "distance", "source")
    return Matches2D3D(*(np.concatenate([getattr(first, c), getattr(second, c)]) for c in columns))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize(("n", "outliers"), [(0, 0), (3, 0), (11, 0), (60, 1.0)])
def test_failure_is_reported_never_guessed(estimator, n, outliers):
    matches = matches_of(PINHOLE, random_pose(np.random.default_rng(3)), n=n, outliers=outliers)
    estimate = estimator.estimate(matches, PINHOLE)
    assert estimate.pose is None
    assert estimate.reason
    assert estimate.num_matches == n
    assert estimate.num_inliers < 12
