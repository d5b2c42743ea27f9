import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from localize.geometry.colmap import camera_rays, to_pycolmap_camera, to_pycolmap_pose
from localize.geometry.poses import nearest_rotation, pose_error, qvec_from_rotation, rotation_from_qvec
from localize.geometry.two_view import essential_matrix, sampson_error
from localize.types import Camera, Pose
from tests.conftest import PINHOLE, random_pose


def test_quaternions_agree_with_scipy_and_return():
    rng = np.random.default_rng(0)
    turns = [*rng.normal(size=(50, 4)), [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [1e-9, 1, 1e-9, 0]]
    for q in turns:
        q = np.asarray(q, float) / np.linalg.norm(q)
        R = rotation_from_qvec(q)
        np.testing.assert_allclose(R, Rotation.from_quat(q[[1, 2, 3, 0]]).as_matrix(), atol=1e-12)
        np.testing.assert_allclose(rotation_from_qvec(qvec_from_rotation(R)), R, atol=1e-12)
    for bad in ([0, 0, 0, 0], [np.nan, 0, 0, 1], [1, 0, 0]):
        with pytest.raises(ValueError, match="cannot be normalised"):
            rotation_from_qvec(bad)


def test_pose_error_is_exact_for_tiny_and_huge_angles():
    rng = np.random.default_rng(1)
    for angle in (1e-7, 0.01, 1.0, 90.0, 179.9):
        truth = random_pose(rng)
        axis = rng.normal(size=3)
        turn = Rotation.from_rotvec(np.radians(angle) * axis / np.linalg.norm(axis)).as_matrix()
        centre = truth.center + np.array([0.03, 0, 0.04])
        R = turn @ truth.rotation
        metres, degrees = pose_error(Pose(R, -R @ centre), truth)
        assert metres == pytest.approx(0.05)
        assert degrees == pytest.approx(angle, rel=1e-6)


def test_nearest_rotation_mends_rounded_digits():
    R = random_pose(np.random.default_rng(2)).rotation
    mended = nearest_rotation(np.round(R, 5))
    assert np.abs(mended @ mended.T - np.eye(3)).max() < 1e-14
    assert np.abs(mended - R).max() < 1e-5


def test_epipolar_error_is_the_distance_in_pixels():
    rng = np.random.default_rng(3)
    first, second = random_pose(rng), random_pose(rng)
    points = rng.uniform(-1, 1, (100, 3))
    x, y = ((points @ p.rotation.T + p.translation) for p in (first, second))
    x, y = x[:, :2] / x[:, 2:], y[:, :2] / y[:, 2:]
    E = essential_matrix(first, second)
    assert sampson_error(E, x, y).max() < 1e-20
    line = np.column_stack([x, np.ones(100)]) @ E.T  # move y off its line by 2 px at a focal length of 500 px
    normal = line[:, :2] / np.linalg.norm(line[:, :2], axis=1, keepdims=True)
    moved = np.sqrt(sampson_error(E, x, y + normal * 2 / 500)) * 500
    assert ((moved > 0.5) & (moved <= 2.001)).all()  # Sampson shares the distance between the two images


@pytest.mark.parametrize(
    ("model", "params"),
    [("PINHOLE", [500, 510, 320, 240]), ("SIMPLE_RADIAL", [500, 320, 240, -0.1]), ("FOV", [500, 500, 320, 240, 0.6])],
)
def test_rays_are_the_inverse_of_projection(model, params):
    camera = Camera(model, 640, 480, params)
    rays = np.random.default_rng(4).uniform(-0.4, 0.4, (50, 2))
    xy = to_pycolmap_camera(camera).img_from_cam(np.column_stack([rays, np.ones(50)]))
    np.testing.assert_allclose(camera_rays(camera, xy), rays, atol=1e-6)


def test_pycolmap_means_the_same_pose_and_camera():
    pose, point = random_pose(np.random.default_rng(5)), np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(to_pycolmap_pose(pose) * point, pose.rotation @ point + pose.translation, atol=1e-12)
    np.testing.assert_allclose(to_pycolmap_camera(PINHOLE).img_from_cam(np.array([[0.0, 0, 1]]))[0], [320, 240])
