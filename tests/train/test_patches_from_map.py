"""Patches of a map's points: found by geometry in photos that the map never matched, and nowhere else."""

import dataclasses

import numpy as np
import pytest

from localize.features.sift import Sift
from localize.geometry.poses import rotation_from_qvec
from localize.io.benchmarks.phototour import read_phototour
from localize.kernels.patches import halved
from localize.pipelines.training import patches_from_map
from localize.store import Store
from localize.train.patches.from_map import Tracks, project
from localize.train.patches.sets import PatchSet, joined, stretched, trainable
from localize.types import Features, Image, ImageList, InputError, Map, Pose
from tests.conftest import PINHOLE

NUM_POINTS = 150


def orbit(angle_deg: float, name: str) -> Image:
    """A camera 6 m from the origin, `angle_deg` around the vertical axis, rolled by as much."""
    a = np.radians(angle_deg)
    around = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    roll = rotation_from_qvec([np.cos(a / 2), 0, 0, np.sin(a / 2)])
    return Image(name, PINHOLE, Pose(roll @ around, np.array([0, 0, 6.0])))


def seen_from(image: Image, points, size_m, up_m, rng, wrong=None) -> Features:
    """Keypoints where the points project, with their scale and orientation there; row i is of point i."""
    at_px, inside = project(image, points)
    assert inside.all()
    depth = points @ image.pose.rotation[2] + image.pose.translation[2]
    flat = up_m - (up_m @ image.pose.rotation[2])[:, None] * image.pose.rotation[2]
    along = project(image, points + flat)[0] - at_px
    scales, angles = size_m * image.camera.focal_px / depth, np.arctan2(along[:, 1], along[:, 0])
    if wrong is not None:
        scales[wrong::4] *= 2
        angles[wrong + 1 :: 4] += 1.5
        at_px[wrong + 2 :: 4] += 5
    n = len(points)
    return Features(at_px + rng.normal(scale=0.2, size=(n, 2)), rng.normal(size=(n, 4)), np.ones(n), scales, angles)


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1.5, 1.5, (NUM_POINTS, 3))
    size_m, up_m = rng.uniform(0.01, 0.06, NUM_POINTS), rng.normal(size=(NUM_POINTS, 3))
    up_m[:, 2] *= 0.1  # about parallel to the pictures, as orientations are
    images = [orbit(a, f"{a}.jpg") for a in (0, 8, 20, 100)]
    features = {i.name: seen_from(i, points, size_m, up_m, rng) for i in images[:2]}
    features |= {images[2].name: seen_from(images[2], points, size_m, up_m, rng, wrong=0)}
    features |= {images[3].name: seen_from(images[3], points, size_m, up_m, rng)}
    keypoint = np.repeat(np.arange(NUM_POINTS), 2)
    town = Map(ImageList(images[:2]), points, np.arange(NUM_POINTS + 1) * 2, np.tile([0, 1], NUM_POINTS), keypoint)
    return town, ImageList(images), features


def test_points_are_found_in_photos_the_map_does_not_have(world):
    town, photos, features = world
    photo, row, point = Tracks().find(town, photos, features)
    for i in range(len(town.points)):  # row i is of point i, so a point's keypoints have one row, and rows one point
        assert len(set(row[point == point[np.flatnonzero(row == i)[0]]])) == 1
    right = np.bincount(photo, minlength=4) / NUM_POINTS
    assert right[0] > 0.97
    assert right[1] > 0.97
    assert 0.15 < right[2] <= 0.25  # of the third photo only every fourth keypoint has the right place and shape
    assert set(row[photo == 2] % 4) == {3}
    assert right[3] == 0  # from the side nothing is known of the point's look


def test_points_that_coincide_become_one(world):
    town, photos, features = world
    near = town.points + np.array([0.002, 0, 0])
    twice = Map(
        town.images,
        np.concatenate([town.points, near]),
        np.arange(2 * NUM_POINTS + 1) * 2,
        np.tile(town.image, 2),
        np.tile(town.keypoint, 2),
    )
    photo, row, point = Tracks().find(twice, photos, features)
    assert len(np.unique(np.column_stack([photo, row]), axis=0)) == len(row)
    assert all(len(set(point[row == i])) <= 1 for i in range(NUM_POINTS))


def test_a_point_gives_no_more_patches_than_asked_for(world):
    town, photos, features = world
    _, _, point = Tracks(max_per_point=2).find(town, photos, features)
    assert set(np.bincount(point)) == {2}


def test_keypoints_without_shape_are_refused(world):
    town, photos, features = world
    bare = {n: Features(f.keypoints, f.descriptors, f.scores) for n, f in features.items()}
    with pytest.raises(InputError, match="no scale and orientation"):
        Tracks().find(town, photos, bare)


def test_sets_of_patches():
    rng = np.random.default_rng(1)
    patches = rng.integers(0, 256, (6, 8, 8), dtype=np.uint8)
    patches[4] = 7
    (kept, images) = trainable(PatchSet(patches, [5, 5, 9, 9, 9, 2]), np.arange(6))
    assert kept.points.tolist() == [5, 5, 9, 9]  # the flat one is out, and the point seen once
    assert images.tolist() == [0, 1, 2, 3]
    assert joined([kept, kept]).points.tolist() == [5, 5, 9, 9, 15, 15, 19, 19]
    means = patches.reshape(6, 4, 2, 4, 2).mean((2, 4))
    assert np.abs(halved(patches) - means).max() <= 0.5
    dark = (patches / 100).astype(np.float32)
    assert np.abs(stretched(dark)[0].astype(int) - stretched(patches.astype(np.float32))[0]).max() <= 1
    assert not stretched(np.full((1, 8, 8), 3.3, np.float32)).any()


def test_patches_of_a_place_end_in_a_folder(scene, tmp_path):
    """Synthetic photos of a textured wall."""
    said = patches_from_map.run(
        scene, Store(tmp_path / "store"), output=str(tmp_path), queries=True, feature=Sift(max_keypoints=1000)
    )
    patches, points = read_phototour(tmp_path / "patches")
    assert f"{len(patches)} patches of {len(np.unique(points))} points from 10 photos" in said
    same = [np.corrcoef(*p.reshape(2, -1))[0, 1] for p in (patches[points == i][:2] for i in np.unique(points)[:80])]
    assert np.median(same) > 0.8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"coefficient": -13.0}, "pipeline.coefficient is -13.0, but must be a number greater than 0"),
        ({"max_per_point": 0}, "max_per_point is 0"),
        ({"queries": True, "ground_truth": None}, "has no poses of its queries"),
        ({"queries": True, "references": "queries"}, "3 queries are called as references are, such as"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_work(scene, tmp_path, change, said):
    wrong = {k: getattr(scene, v) if v else v for k, v in change.items() if k in ("ground_truth", "references")}
    given = {k: v for k, v in change.items() if k not in wrong}
    with pytest.raises(InputError, match=said):
        patches_from_map.run(dataclasses.replace(scene, **wrong), None, output=str(tmp_path), **given)
