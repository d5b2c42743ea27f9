"""Ground truth in another convention or frame is named, and no other error is taken for one."""

import numpy as np
import pytest

from localize.evaluate.truth_check import other_truth
from localize.geometry.poses import composed, rotation_from_qvec
from localize.types import Pose
from tests.conftest import random_pose
from tests.mapping.test_pose_check import WRITTEN


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    return {f"{i}.jpg": random_pose(rng) for i in range(8)}


def found(truth, failed: int = 0):
    """Estimates of them, so many of them wrong."""
    rng = np.random.default_rng(1)
    off = {
        n: composed(Pose(rotation_from_qvec([1, *1e-3 * rng.normal(size=3)]), np.zeros(3)), p) for n, p in truth.items()
    }
    return off | {name: random_pose(rng) for name in list(truth)[:failed]}


@pytest.mark.parametrize("convention", WRITTEN, ids=str)
def test_another_convention_is_named(truth, convention):
    written = {name: WRITTEN[convention](name, pose) for name, pose in truth.items()}
    assert f"if it is read as {convention} " in other_truth(found(truth), written)
    assert "fits 7 of 8 localized queries" in other_truth(found(truth, failed=1), written)


def test_another_frame_is_named(truth):
    world = Pose(rotation_from_qvec([1, 0, 0, 1]), np.array([100.0, -20, 3]))
    moved = {
        n: Pose(p.rotation @ world.rotation.T, 2 * p.translation - p.rotation @ world.rotation.T @ world.translation)
        for n, p in truth.items()
    }
    assert "if its frame is turned by 90.0 deg, scaled by 0.5 and moved by" in other_truth(found(truth), moved)


def test_right_truth_and_poses_that_are_simply_wrong_are_not_explained(truth):
    assert other_truth(found(truth), truth) is None
    assert other_truth(found(truth, failed=4), truth) is None
    assert other_truth(found(truth, failed=8), truth) is None
    assert (
        other_truth(dict(list(found(truth).items())[:2]), {n: random_pose(np.random.default_rng(5)) for n in truth})
        is None
    )
