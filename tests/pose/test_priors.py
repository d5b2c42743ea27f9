"""What a query knows of itself helps where it is right, and is named where it is wrong."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.poses import pose_error, rotation_from_qvec
from localize.pose.colmap import Colmap
from localize.pose.poselib import PoseLib
from localize.pose.priors import refuse_unhonoured, unhonoured
from localize.pose.upright import rotation_from_y
from localize.types import Camera, Image, InputError, Prior
from tests.conftest import PINHOLE, random_pose
from tests.contracts.test_poses import matches_of

WIDE = Camera("SIMPLE_RADIAL", 640, 480, [500, 320, 240, -0.05])


def said(pose, off_deg: float, sd_deg: float = 1.0) -> Prior:
    """Gravity so far from the truth."""
    true = pose.rotation @ [0, 0, -1]
    across = np.linalg.svd(true[None])[2][1]
    gravity = np.cos(np.radians(off_deg)) * true + np.sin(np.radians(off_deg)) * across
    return Prior(gravity, gravity_deg=sd_deg)


@pytest.mark.parametrize("off_deg", [0, 3])
@pytest.mark.parametrize("camera", [PINHOLE, WIDE])
def test_gravity_finds_poses_that_p3p_has_too_few_samples_for(camera, off_deg):
    truth = random_pose(np.random.default_rng(6))
    matches = matches_of(camera, truth, 1000, outliers=0.96)
    few = PoseLib(prosac=False, min_iterations=100, max_iterations=1_000)
    assert few.estimate(matches, camera).num_inliers < 30
    found = few.estimate(matches, camera, said(truth, off_deg, max(off_deg, 0.5)))
    metres, degrees = pose_error(found.pose, truth)
    assert metres < 0.05
    assert degrees < 0.5
    assert found.num_inliers >= 40
    assert found.notes == ()


def test_wrong_gravity_is_named_and_changes_nothing():
    truth = random_pose(np.random.default_rng(7))
    matches = matches_of(PINHOLE, truth)
    alone = PoseLib().estimate(matches, PINHOLE)
    found = PoseLib().estimate(matches, PINHOLE, said(truth, 30))
    assert pose_error(found.pose, alone.pose) < (0.01, 0.1)
    assert found.num_inliers >= alone.num_inliers
    (note,) = found.notes
    assert note.startswith("gravity contradicts the matches by 30 deg, with a standard deviation of 1 deg")


def test_a_wrong_position_is_named_and_a_failure_says_what_it_was_looked_for():
    truth = random_pose(np.random.default_rng(8))
    matches = matches_of(PINHOLE, truth)
    right, wrong = (Prior(position=truth.center + np.array([off, 0, 0]), radius_m=5) for off in (4, 41))
    assert PoseLib().estimate(matches, PINHOLE, right).notes == ()
    (note,) = PoseLib().estimate(matches, PINHOLE, wrong).notes
    assert note == (
        "the position prior lies 41 (in the map's unit) from where the matches put the camera, with a radius of 5: it "
        "was not used for the pose"
    )
    sure = Prior(position=truth.center + np.array([4, 0, 0]), covariance=np.diag([1.0, 25, 25]))
    assert len(PoseLib().estimate(matches, PINHOLE, sure).notes) == 1  # 4 sd along x
    failed = PoseLib().estimate(matches_of(PINHOLE, truth, 60, outliers=1.0), PINHOLE, wrong)
    assert failed.pose is None
    assert "near the position prior only" in failed.notes[0]


def test_a_solver_refuses_by_name_what_it_makes_no_use_of():
    queries = [Image("a", PINHOLE, prior=said(random_pose(np.random.default_rng(9)), 0)), Image("b", PINHOLE)]
    assert unhonoured(PoseLib(), queries) == []
    (sentence,) = unhonoured(Colmap(), queries)
    assert sentence.startswith("Colmap makes no use of gravity, which query a brings: take")
    unnamed = dataclasses.replace(queries[0], name="")
    with pytest.raises(InputError, match="which this photo brings"):
        refuse_unhonoured(Colmap(), [unnamed])


def test_rotation_from_y():
    rng = np.random.default_rng(0)
    for direction in (*(rotation_from_qvec(rng.normal(size=4))[0] for _ in range(20)), [0, -1, 0], [0, 1, 0]):
        R = rotation_from_y(np.array(direction, float))
        np.testing.assert_allclose(R @ [0, 1, 0], direction, atol=1e-12)
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(R) > 0
