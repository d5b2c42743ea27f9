"""Pairs by overlapping frusta beside a slow twin, and where the nearest views are the wrong ones."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from localize.mapping import frusta
from localize.mapping.frusta import DEPTHS, GRID, depths_in_model, guessed_depths, rank_by_frusta
from localize.mapping.pairs import neighbour_pairs
from localize.mapping.triangulation import Triangulation
from localize.retrieval.ranking import rank_by_pose
from localize.stages import Photos, Workbench, choose_pairs
from localize.store import Store
from localize.types import Image, ImageList, Pose, SourceModel
from tests.conftest import PINHOLE


def camera(name: str, center, yaw_deg: float = 0.0, pitch_deg: float = 0.0) -> Image:
    """Looks along z, turned by yaw to the right and then by pitch."""
    rotation = Rotation.from_euler("yx", [-yaw_deg, pitch_deg], degrees=True).as_matrix()
    return Image(name, PINHOLE, Pose(rotation, -rotation @ np.array(center, float)))


def slow_share(one: Image, other: Image, depths_one, depths_other) -> float:
    """Sample by sample: is it in the other photo, at a depth of its, and seen from within 60 degrees?"""
    steps, seen = (np.arange(GRID) + 0.5) / GRID, []
    for depth in np.geomspace(*depths_one, DEPTHS):
        for x in steps * PINHOLE.width:
            for y in steps * PINHOLE.height:
                fx, fy, cx, cy = PINHOLE.params
                ray = one.pose.rotation.T @ [(x - cx) / fx * depth, (y - cy) / fy * depth, depth]
                point = one.pose.center + ray
                u, v, z = other.pose.rotation @ point + other.pose.translation
                in_photo = 0 <= fx * u / z + cx <= PINHOLE.width and 0 <= fy * v / z + cy <= PINHOLE.height
                back = point - other.pose.center
                near = ray @ back >= 0.5 * np.linalg.norm(ray) * np.linalg.norm(back)
                seen.append(in_photo and depths_other[0] <= z <= depths_other[1] and near)
    return np.mean(seen)


def test_the_overlaps_are_those_of_the_slow_twin(monkeypatch):
    monkeypatch.setattr(frusta, "BLOCK", 7)
    rng = np.random.default_rng(0)
    images = tuple(
        camera(f"{i}.jpg", rng.uniform(-3, 3, 3), rng.uniform(-90, 90), rng.uniform(-15, 15)) for i in range(14)
    )
    depths = np.column_stack([rng.uniform(1, 3, 14), rng.uniform(6, 12, 14)])
    slow = np.zeros((14, 14))
    for i in range(14):
        for j in range(14):
            if i != j:
                ways = ((i, j), (j, i))
                slow[i, j] = min(slow_share(images[a], images[b], depths[a], depths[b]) for a, b in ways)
    ranking = rank_by_frusta(ImageList(images), depths, 5)
    assert 40 < (ranking.ranked >= 0).sum() < 70
    for i, (row, score) in enumerate(zip(ranking.ranked, ranking.scores, strict=True)):
        best = np.sort(slow[i])[::-1][:5]
        np.testing.assert_allclose(score[row >= 0], best[best > 0], atol=1e-6)
        np.testing.assert_allclose(slow[i, row[row >= 0]], score[row >= 0], atol=1e-6)


def test_who_sees_the_same_is_not_who_stands_near(tmp_path):
    images = ImageList(
        [
            camera("a.jpg", (0, 0, 0)),
            camera("turned.jpg", (0.2, 0, 0), yaw_deg=44),
            camera("back.jpg", (0, 0, -0.1), yaw_deg=180),
            camera("behind.jpg", (0.3, 0, -0.5)),
            camera("around.jpg", (-4.6, 0, 2.1), yaw_deg=50),  # looks at the place 6 m before the first
        ]
    )
    depths = np.tile([4.0, 9.0], (5, 1))
    assert rank_by_pose(images, 1).ranked[0].tolist() == [1]
    ranking = rank_by_frusta(images, depths, 2)
    assert ranking.ranked[0].tolist() == [3, 4]
    assert ranking.ranked[2].tolist() == [-1, -1]
    photos = Photos("reference", images, {}, {})
    mapping = Triangulation(pairs="frusta", num_neighbours=2)
    expected = neighbour_pairs(rank_by_frusta(images, guessed_depths(images, 2), 2))
    assert choose_pairs(Workbench(Store(tmp_path)), mapping, photos) == expected


def test_of_many_only_those_with_near_views_are_compared(monkeypatch):
    images = ImageList(camera(f"{i:03}.jpg", (0.5 * i, 0, 0), yaw_deg=180 * (i % 2)) for i in range(200))
    depths = np.tile([2.0, 10.0], (200, 1))
    found = rank_by_frusta(images, depths, 4)
    monkeypatch.setattr(frusta, "CANDIDATES", 200)
    every = rank_by_frusta(images, depths, 4)
    np.testing.assert_array_equal(found.ranked, every.ranked)
    assert (found.ranked % 2 == np.arange(200)[:, None] % 2).all()


def test_depths_are_those_of_the_models_points_or_guessed():
    images = ImageList([camera(f"{n}.jpg", (i, 0, 0)) for i, n in enumerate("abc")])
    z = np.arange(1.0, 12.0)  # eleven points, seen by b alone, which the model calls 1; c is not in it
    model = SourceModel(
        names=("0", "1"), focal_px=np.ones(2), radial=np.zeros(2), rotations=np.tile(np.eye(3), (2, 1, 1)),
        translations=np.zeros((2, 3)), points=np.column_stack([0 * z, 0 * z, z]), indptr=np.arange(12),
        image=np.ones(11, int), keypoint=np.zeros(11), xy=np.zeros((11, 2)),
    )  # fmt: skip
    names = {"a.jpg": "0", "b.jpg": "1"}
    np.testing.assert_allclose(depths_in_model(model, images, names, 1), np.tile([2.0, 10.0], (3, 1)))
    guessed = guessed_depths(images, 1)
    np.testing.assert_allclose(guessed, np.tile([0.5, 4.0], (3, 1)))
    np.testing.assert_allclose(depths_in_model(model, images, {}, 1), guessed)
    assert guessed_depths(ImageList([camera("a.jpg", (5, 0, 0)), camera("b.jpg", (5, 0, 0))]), 20)[0] == pytest.approx(
        [0.5, 4.0]
    )
