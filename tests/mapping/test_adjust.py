"""Poses of some photos among others that stay, and the similarity between two frames."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.poses import pose_error, rotation_from_qvec
from localize.geometry.similarity import Similarity, fit_similarity
from localize.mapping.adjust import adjust
from localize.types import Camera, Image, ImageList, Map, Pose
from tests.conftest import random_pose

CAMERA = Camera("SIMPLE_RADIAL", 1600, 1200, [1500.0, 800, 600, 0.01])


def turned(pose: Pose, rng, size: float) -> Pose:
    return Pose(rotation_from_qvec([1, *(size * rng.normal(size=3))]) @ pose.rotation, pose.translation + size)


@pytest.fixture
def seen():
    """A map of points that six photos see, and the keypoints, of which some are wrong."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (300, 3))
    images = ImageList(Image(f"{i}.jpg", CAMERA, random_pose(rng)) for i in range(6))
    keypoints = {}
    for image in images:
        in_camera = points @ image.pose.rotation.T + image.pose.translation
        xy = in_camera[:, :2] / in_camera[:, 2:]
        xy = xy * (1 + 0.01 * (xy**2).sum(1, keepdims=True)) * 1500 + [800, 600] + 0.2 * rng.normal(size=xy.shape)
        xy[rng.choice(300, 20, replace=False)] += rng.normal(0, 20, (20, 2))
        keypoints[image.name] = xy
    numbers = np.arange(6 * 300)
    return Map(images, points, 6 * np.arange(301), numbers % 6, numbers // 6), keypoints, rng


def test_free_poses_come_back_and_a_lens_too(seen):
    truth, keypoints, rng = seen
    free = ("4.jpg", "5.jpg")
    lens = dataclasses.replace(CAMERA, params=CAMERA.params * [1.1, 1, 1, 0])
    images = [dataclasses.replace(i, pose=turned(i.pose, rng, 0.01)) if i.name in free else i for i in truth.images]
    for given, lenses in ((CAMERA, {}), (lens, dict.fromkeys(free, "phone"))):
        started = [dataclasses.replace(i, camera=given) if i.name in free else i for i in images]
        found = adjust(dataclasses.replace(truth, images=ImageList(started)), keypoints, free, lenses)
        for i, name in enumerate(free):
            assert pose_error(found.pose(i), truth.images.by_name[name].pose) < (0.004, 0.05)
            np.testing.assert_allclose(found.cameras[i].params[:3], CAMERA.params[:3], rtol=2e-3)
            assert found.cameras[i].params[3] == pytest.approx(0.01, abs=0.005)
        assert (found.seen == 300).all()
        assert (found.error_px < 0.5).all()
    nothing = dataclasses.replace(truth, indptr=truth.indptr * 0 + [0] * 301, image=[], keypoint=[])
    found = adjust(dataclasses.replace(nothing, points=truth.points), keypoints, free, {})
    assert found.seen.tolist() == [0, 0]
    np.testing.assert_array_equal(found.rotations[0], truth.images.by_name[free[0]].pose.rotation)


def test_similarity_is_found_among_wrong_poses():
    rng = np.random.default_rng(1)
    to = [random_pose(rng) for _ in range(12)]
    there = Similarity(3.0, rotation_from_qvec(rng.normal(size=4)), rng.normal(size=3))
    back = Similarity(1 / 3.0, there.rotation.T, -there.rotation.T @ there.translation / 3.0)
    of = [turned(back.of_pose(pose), rng, 1e-4) for pose in to]
    of[3:7] = [random_pose(rng) for _ in range(4)]
    found = fit_similarity(to, of, 0.1, 2.0)
    assert np.flatnonzero(~found.inliers).tolist() == [3, 4, 5, 6]
    assert found.similarity.scale == pytest.approx(3.0, rel=1e-3)
    assert found.scale_sd < 1e-3
    fixed = fit_similarity(to, of, 0.1, 2.0, scale=1.0)
    assert fixed.similarity.scale == 1.0
    assert fixed.inliers.sum() < 6
    one_place = [Pose(pose.rotation, pose.rotation @ [1e-3 * i, 0, 0]) for i, pose in enumerate(to)]
    assert fit_similarity(one_place, [turned(pose, rng, 1e-3) for pose in one_place], 0.1, 2.0).scale_sd > 0.02
    assert fit_similarity(to[:1], of[:1], 0.1, 2.0) is None
