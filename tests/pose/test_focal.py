"""Focal lengths that are wrong or unknown, on generated matches with known answers."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.focal_fit import Beliefs, Lens, errors_of, fit_lens
from localize.geometry.poses import pose_error
from localize.pose.focal import focal_in
from localize.pose.poselib import PoseLib
from localize.stages.notes import focal_notes
from localize.types import Camera, Matches2D3D, Pose, Prior
from tests.conftest import random_pose
from tests.contracts.test_poses import matches_of, project

TRUE = Camera("SIMPLE_RADIAL", 640, 480, [500, 320, 240, -0.05])
SOLVER = PoseLib(max_error_px=5.0)


def given(times: float, k: float = 0.0) -> Camera:
    return Camera("SIMPLE_RADIAL", 640, 480, [500 * times, 320, 240, k])


@pytest.mark.parametrize("times", [0.7, 1.0, 1.5])
def test_unknown_focal_length_comes_out_with_the_pose(times):
    truth = random_pose(np.random.default_rng(1))
    matches = matches_of(TRUE, truth, n=400, outliers=0.6)
    found = SOLVER.estimate(matches, given(times), Prior(focal="unknown"))
    metres, degrees = pose_error(found.pose, truth)
    assert metres < 0.05
    assert degrees < 0.3
    assert abs(found.camera.focal_px - 500) < 5
    assert found.num_inliers >= 155
    assert found.notes[0].startswith("the focal length was estimated with the pose")
    again = SOLVER.estimate(matches, given(times), Prior(focal="unknown"))
    np.testing.assert_array_equal(again.camera.params, found.camera.params)


def test_fit_of_exact_matches_finds_the_lens():
    rng = np.random.default_rng(2)
    pose, points = random_pose(rng), rng.uniform(-1.5, 1.5, (50, 3))
    xy = project(TRUE, pose, points) - [320, 240]
    start = Lens(Pose(pose.rotation, pose.translation + np.array([0.05, -0.05, 0.5])), 560.0)
    fit = fit_lens(xy, points, start, 50.0, Beliefs(560.0, focal_sd=1e6, radial_sd=1e6))
    assert errors_of(fit.lens, xy, points).max() < 1e-4
    assert abs(fit.lens.focal_px - 500) < 1e-3
    assert abs(fit.lens.radial + 0.05) < 1e-5


def test_covariance_is_the_spread_of_the_estimates():
    rng = np.random.default_rng(3)
    pose, points = random_pose(rng), rng.uniform(-1.5, 1.5, (100, 3))
    exact, start = project(TRUE, pose, points) - [320, 240], Lens(pose, 500.0, -0.05)
    noisy = (exact + rng.normal(size=exact.shape) for _ in range(300))
    fits = [fit_lens(xy, points, start, 3.0, Beliefs(500.0, 1e3, 0.0, 1e3)) for xy in noisy]
    spread = np.std([np.log(f.lens.focal_px) for f in fits])
    assert abs(np.median([f.focal_sd for f in fits]) / spread - 1) < 0.15
    spread = np.std([f.lens.radial for f in fits])
    assert abs(np.median([f.radial_sd for f in fits]) / spread - 1) < 0.15


def test_a_plane_seen_squarely_leaves_the_focal_length_open():
    rng = np.random.default_rng(4)
    points = np.column_stack([rng.uniform(-1.5, 1.5, (300, 2)), np.zeros(300)])
    truth, camera = Pose(np.eye(3), [0, 0, 5]), Camera("SIMPLE_PINHOLE", 640, 480, [500, 320, 240])
    xy = project(camera, truth, points) + 0.5 * rng.normal(size=(300, 2))
    rows = np.arange(300)
    matches = Matches2D3D(xy, points, rows, rows, np.zeros(300), np.ones(300))
    wrong = Camera("SIMPLE_PINHOLE", 640, 480, [700, 320, 240])
    found = SOLVER.estimate(matches, wrong, Prior(focal="unknown"))
    assert found.camera.focal_px == 700
    assert "leave the focal length open" in found.notes[0]
    assert found.num_inliers > 290
    assert abs(found.pose.center[2] + 7) < 0.1  # as far away as the guess says
    assert SOLVER.estimate(matches, wrong).notes == ()  # nothing can contradict it


@pytest.mark.parametrize("seed", range(5))
def test_a_right_focal_length_is_not_doubted_and_a_wrong_one_is(seed):
    matches = matches_of(TRUE, random_pose(np.random.default_rng(seed)), n=300, noise_px=1, seed=seed)
    assert SOLVER.estimate(matches, TRUE).notes == ()
    assert SOLVER.estimate(matches, given(1.0)).notes == ()  # a distortion left out is no other focal length
    (note,) = SOLVER.estimate(matches, given(1.3)).notes
    fits, believed = focal_in(note)
    assert abs(fits / 500 - 1) < 0.04
    assert believed == 650


def test_what_many_queries_say_is_one_sentence():
    matches = matches_of(TRUE, random_pose(np.random.default_rng(1)), n=300)
    doubted, right = SOLVER.estimate(matches, given(1.3)), SOLVER.estimate(matches, TRUE)
    (sentence,) = focal_notes([doubted, doubted, right])
    assert sentence.startswith("2 of 3 localized queries fit f about ")
    assert "650 px given" in sentence
    assert focal_notes([right]) == []


def test_fisheyes_keep_their_focal_length_and_say_so():
    camera = Camera("OPENCV_FISHEYE", 640, 480, [500, 500, 320, 240, 0, 0, 0, 0])
    matches = matches_of(camera, random_pose(np.random.default_rng(1)))
    found = SOLVER.estimate(matches, camera, Prior(focal="guessed"))
    assert found.pose is not None
    assert "not estimated" in found.notes[0]


def test_distortion_of_several_coefficients_stays_in_the_picture():
    true = Camera("OPENCV", 640, 480, [500, 510, 320, 240, -0.1, 0.02, 0.001, 0.002])
    truth = random_pose(np.random.default_rng(1))
    matches = matches_of(true, truth, n=400)
    s = 1.3  # the same picture by a lens that is thought longer
    wrong = dataclasses.replace(
        true, params=[500 * s, 510 * s, 320, 240, -0.1 * s**2, 0.02 * s**4, 0.001 * s, 0.002 * s]
    )
    found = SOLVER.estimate(matches, wrong, Prior(focal="unknown"))
    np.testing.assert_allclose(found.camera.params, true.params, rtol=0.05)
    assert pose_error(found.pose, truth)[0] < 0.05
