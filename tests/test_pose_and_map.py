"""Poses and maps of generated scenes with known answers."""

import dataclasses

import numpy as np
import poselib
import pytest

from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import recall_table
from localize.geometry.colmap import to_pycolmap_camera
from localize.geometry.poses import pose_error
from localize.mapping.pairs import neighbour_pairs
from localize.mapping.triangulation import Triangulation
from localize.pose.colmap import Colmap
from localize.pose.poselib import PoseLib
from localize.types import Camera, Image, ImageList, InputError, Matches2D3D, PairMatches, Pose, Retrieval, Scene

from .conftest import EMPTY, PINHOLE, random_pose

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
    assert PoseLib().options().keys() <= poselib.RansacOptions().keys()  # it ignores others in silence
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


def generated_scene(seed=0, num_images=6, num_points=80):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (num_points, 3))
    images = ImageList(tuple(Image(f"{i}.jpg", PINHOLE, random_pose(rng)) for i in range(num_images)))
    order = {n: rng.permutation(num_points) for n in images.names}  # keypoint row -> point
    keypoints = {i.name: project(PINHOLE, i.pose, points)[order[i.name]].astype("f") for i in images}
    matches = {}
    for a in images.names:
        for b in images.names:
            if a < b:
                matches[a, b] = PairMatches(np.column_stack([np.argsort(order[a]), np.argsort(order[b])]))
    return points, images, order, keypoints, matches


def test_triangulation_finds_the_points_and_drops_wrong_matches():
    points, images, order, keypoints, matches = generated_scene()
    wrong = matches["0.jpg", "1.jpg"].rows.copy()
    wrong[:10, 1] = wrong[:10, 1][::-1]
    matches["0.jpg", "1.jpg"] = PairMatches(wrong)
    town = Triangulation().build(images, keypoints, matches)
    assert len(town.points) >= 78
    names = images.names
    for p, xyz in enumerate(town.points):
        span = slice(town.indptr[p], town.indptr[p + 1])
        true = {
            order[names[i]][k] for i, k in zip(town.image[span], town.keypoint[span], strict=True)
        }  # which generated point each observation shows
        assert len(true) == 1
        assert np.linalg.norm(points[true.pop()] - xyz) < 1e-4
    again = Triangulation().build(images, keypoints, matches)
    np.testing.assert_array_equal(again.points, town.points)
    np.testing.assert_array_equal(again.keypoint, town.keypoint)


def test_wrong_poses_give_a_sentence_not_an_empty_map():
    _, images, _, keypoints, matches = generated_scene()
    rng = np.random.default_rng(9)
    turned = ImageList(tuple(Image(i.name, i.camera, random_pose(rng)) for i in images))
    matches = {pair: PairMatches(m.rows[:1]) for pair, m in matches.items()}
    with pytest.raises(InputError, match=r"no 3D point could be triangulated from 6 references"):
        Triangulation(max_epipolar_error_px=0.01).build(turned, keypoints, matches)


def test_neighbour_pairs_are_unordered_and_unique():
    ranking = Retrieval(("a", "b", "c"), ("a", "b", "c"), [[1, -1], [0, 2], [0, 1]], np.zeros((3, 2)))
    assert neighbour_pairs(ranking) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_recall_counts_failed_queries_and_splits_conditions():
    truth = [
        Image(f"{i}", PINHOLE, Pose(np.eye(3), np.zeros(3)), tags)
        for i, tags in enumerate([(), ("night",), ("night",), ()])
    ]
    queries = ImageList(tuple(Image(i.name, i.camera, None, i.tags) for i in truth))
    estimates = {
        "0": Pose(np.eye(3), [0.005, 0, 0]),
        "1": Pose(np.eye(3), [0, 0.03, 0]),
        "3": Pose(np.eye(3), [0, 0, 9]),
    }
    judged = {"queries": queries, "ground_truth": ImageList(truth)}
    scene = Scene("", "", EMPTY, thresholds=[(0.01, 0.1), (0.05, 1)], **judged)
    report = evaluate_poses(estimates, scene)
    assert report.conditions == ("all", "night")
    assert report.recall.tolist() == [[0.25, 0.5], [0, 0.5]]
    assert report.num_queries.tolist() == [4, 2]
    assert report.num_localized.tolist() == [3, 1]
    assert report.error_m[2] == np.inf
    assert report.median_m[1] == np.inf  # of 0.03 and a failure
    table = recall_table(report)
    assert "25.0 %" in table
    assert "3 of 4" in table
    at_the_bound = evaluate_poses({"0": Pose(np.eye(3), [0.01, 0, 0])}, scene)
    assert at_the_bound.recall[0, 0] == 0  # strictly below
    night_is_easier = dataclasses.replace(scene, tag_thresholds={"night": [(0.05, 1), (1, 10)]})
    report = evaluate_poses(estimates, night_is_easier)
    assert report.recall.tolist() == [[0.25, 0.5], [0.5, 0.5]]
    assert recall_table(report).count("condition") == 2  # each table under its own thresholds
