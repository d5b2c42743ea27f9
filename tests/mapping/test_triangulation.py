"""Maps of generated scenes with known points."""

import numpy as np
import pytest

from localize.mapping.pairs import neighbour_pairs
from localize.mapping.triangulation import Triangulation
from localize.types import Image, ImageList, InputError, PairMatches, Retrieval
from tests.conftest import PINHOLE, random_pose
from tests.contracts.test_poses import project


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
