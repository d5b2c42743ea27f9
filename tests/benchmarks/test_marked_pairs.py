"""Which matches the benchmarks of matching count as correct."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.marked_pairs import Judge
from benchmarks.on_map import correct_matches
from localize.geometry.two_view import essential_matrix
from localize.types import Image, Matches2D3D, Pose
from tests.conftest import PINHOLE

K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
FIRST = Pose(np.eye(3), np.zeros(3))
SECOND = Pose(Rotation.from_euler("y", 8, degrees=True).as_matrix(), np.array([-0.8, 0.1, 0.2]))


def seen(points, pose):
    projected = (points @ pose.rotation.T + pose.translation) @ K.T
    return projected[:, :2] / projected[:, 2:]


def surface(rng, n, relief):
    """Points of a smooth surface, in both photos."""
    x, y = rng.uniform(-1.5, 1.5, (2, n))
    points = np.column_stack([x, y, 5 + relief * np.sin(2 * x) * np.cos(2 * y)])
    return seen(points, FIRST), seen(points, SECOND)


@pytest.mark.parametrize("relief", [0, 0.5])
def test_correct_is_near_the_geometry_and_near_the_warp(relief):
    rng = np.random.default_rng(0)
    first, second = surface(rng, 40, relief)
    judge = Judge(first + rng.normal(scale=0.2, size=first.shape), second + rng.normal(scale=0.2, size=second.shape))
    assert judge.flat == (relief == 0)
    p, q = surface(rng, 100, relief)
    inverse = np.linalg.inv(K)
    F = inverse.T @ essential_matrix(FIRST, SECOND) @ inverse
    across = (np.column_stack([p, np.ones(100)]) @ F.T)[:, :2]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = across[:, ::-1] * [1, -1]
    assert judge.correct(p, q).mean() > 0.9  # but at the surface's rim, where the warp is guessed
    assert judge.correct(p, q + 1.5 * across).mean() > 0.9
    assert not judge.correct(p, q + 7 * across).any()  # Sampson's distance shares it between the photos: about 5 px
    assert not judge.correct(p, q + 80 * along).any()
    assert judge.correct(p, q + 5 * along).mean() > 0.9 if relief else not judge.correct(p, q + 5 * along).any()
    assert judge.correct(np.zeros((0, 2)), np.zeros((0, 2))).shape == (0,)


def test_a_point_is_correct_within_3_px_and_in_front_of_the_camera():
    xyz = np.array([[0.1, 0.2, 4.0], [0.1, 0.2, 4.0], [-0.1, -0.2, -4.0]])
    xy = seen(xyz, FIRST) + np.array([[2.9, 0], [3.1, 0], [0, 0]])
    rows = np.zeros(3, np.int32)
    matches = Matches2D3D(xy, xyz, rows, rows, np.zeros(3, np.float32), np.ones(3, np.uint8))
    assert correct_matches(matches, Image("a.jpg", PINHOLE, FIRST)).tolist() == [True, False, False]
