import numpy as np
import pytest

from localize.pose.poselib import PoseLib
from localize.types import Camera, Features, Image, ImageList, InputError, Pose, PoseEstimate, Regions
from tests.conftest import PINHOLE


def regions(covariance=(1, 0, 1), channels=(0, 0), levels=(0, 0)):
    return Regions(np.zeros((2, 2)), [(1, 0, 1), covariance], channels, levels, np.ones(2), [(3, 4), (2, 3)])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Camera("PINHOL", 1, 1, [1]), "unknown camera model"),
        (lambda: Camera("PINHOLE", 10, 10, [1, 2, 3]), "takes 4 parameters, but 3"),
        (lambda: Camera("SIMPLE_PINHOLE", 10, 10, [np.nan, 2, 3]), "NaN"),
        (lambda: Camera("SIMPLE_PINHOLE", 0, 10, [1, 2, 3]), "width is 0 px, but must be a whole number"),
        (lambda: Camera("SIMPLE_PINHOLE", 10, 10.5, [1, 2, 3]), "height is 10.5 px, but must be a whole number"),
        (lambda: Camera("PINHOLE", 10, 10, [10, -10, 5, 5]), "10 and -10 px, but it must be positive"),
        (lambda: Pose(np.eye(3), [0, np.nan, 0]), "NaN"),
        (lambda: Pose(-np.eye(3), np.zeros(3)), "not a rotation"),
        (lambda: Pose(np.eye(4), np.zeros(3)), r"shape \(4, 4\), but expected \(3, 3\)"),
        (lambda: Features(np.zeros((2, 3)), np.zeros((2, 4)), np.zeros(2)), "expected"),
        (lambda: Features(np.zeros((2, 2)), np.zeros((3, 4)), np.zeros(2)), "expected"),
        (lambda: Features(np.zeros((1, 2)), np.full((1, 4), np.inf), np.zeros(1)), "infinite"),
        (lambda: ImageList((Image("a", PINHOLE), Image("a", PINHOLE))), "a is listed 2 times"),
        (lambda: PoseEstimate(None, np.zeros(3, bool)), "must say why"),
        (lambda: regions(covariance=(4, 2, 1)), "positive definite"),
        (lambda: regions(covariance=(-1, 0, -1)), "positive definite"),
        (lambda: regions(channels=(1, 0)), "ordered by level, then by channel"),
        (lambda: regions(levels=(1, 0), channels=(0, 1)), "ordered by level, then by channel"),
        (lambda: regions(levels=(0, 2)), "levels must lie between 0 and 1"),
        (lambda: PoseLib(max_error_px="12"), "type float"),
        (lambda: PoseLib(max_error_px=0), "greater than 0"),
        (lambda: PoseLib(seed=True), "type int"),
    ],
)
def test_records_refuse_what_cannot_be(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_bad_components_are_input_errors():
    with pytest.raises(InputError, match=r"PoseLib\.min_inliers is 1\.5"):
        PoseLib(min_inliers=1.5)


def test_centre_of_a_pose():
    R = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    centre = np.array([1.0, 2, 3])
    np.testing.assert_allclose(Pose(R, -R @ centre).center, centre, atol=1e-12)
