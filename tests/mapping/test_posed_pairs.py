"""Matches on epipolar lines beside a slow twin, and the map's stage that asks for them."""

import dataclasses

import numpy as np
import pytest

from localize.geometry.colmap import camera_rays
from localize.geometry.two_view import essential_matrix, planes_through_baseline, sampson_error
from localize.matching.epipolar import EpipolarNearest
from localize.matching.mutual import MutualNearest
from localize.stages.mapping import match_pairs
from localize.stages.photos import Photos
from localize.stages.shelved import Shelved
from localize.stages.workbench import Workbench
from localize.store import Store
from localize.types import Features, Image, ImageList, Pose
from tests.conftest import PINHOLE
from tests.contracts.test_poses import project


def two_photos(second_center, num=300, seed=0):
    """Two photos that look along z, and their features: those of common points, noisy, and as many of others."""
    rng = np.random.default_rng(seed)
    images = [
        Image(n, PINHOLE, Pose(np.eye(3), -np.array(c, float))) for n, c in (("a", (0, 0, 0)), ("b", second_center))
    ]
    points = np.column_stack([rng.uniform(-2, 2, (num, 2)), rng.uniform(4, 9, num)])
    kinds = rng.normal(size=(num // 10, 32))[rng.integers(0, num // 10, num)]  # ten points of each kind look alike
    features = []
    for image in images:
        order = rng.permutation(num)
        xy = project(PINHOLE, image.pose, points[order]) + rng.normal(0, 0.5, (num, 2))
        seen = kinds[order] + 0.3 * rng.normal(size=(num, 32))
        seen[: num // 4] = rng.normal(size=(num // 4, 32))
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        features.append(Features(np.clip(xy, 0, (640, 480)), seen.astype(np.float16), np.ones(num)))
    return tuple(images), features


def slow_matches(matcher: EpipolarNearest, first: Features, second: Features, images) -> list[list[int]]:
    """Sampson's distance of all pairs decides who is compared."""
    x, y = (camera_rays(i.camera, f.keypoints) for i, f in zip(images, (first, second), strict=True))
    (p, q), E = (
        planes_through_baseline(images[0].pose, images[1].pose, x, y),
        essential_matrix(*(i.pose for i in images)),
    )
    error = np.array([sampson_error(E, np.repeat(x[i : i + 1], len(y), 0), y) for i in range(len(x))])
    turned = np.cos(p[:, None, 0] - q[None, :, 0]) > 0.9  # on one side of the baseline
    meet = q[None, :, 1] - p[:, None, 1]
    met = (meet >= -matcher.max_error_px / PINHOLE.focal_px) & (meet < np.radians(matcher.max_angle_deg))
    near = (error * PINHOLE.focal_px**2 <= matcher.max_error_px**2) & turned & met
    similarity = np.where(near, first.descriptors.astype("f") @ second.descriptors.astype("f").T, -np.inf)
    found = []
    for i, row in enumerate(similarity):
        d1, d2 = np.sqrt(np.maximum(0, 2 - 2 * np.sort(row)[[-1, -2]]))
        j = int(row.argmax())
        if d1 <= matcher.max_distance and d1 < matcher.ratio * d2 and similarity[:, j].argmax() == i:
            found.append([i, j])
    return found


@pytest.mark.parametrize("center", [(1, 0, 0), (0.1, -0.8, 0.1), (-1, 0.1, 0.5), (0.05, 0.02, 1)])
def test_matches_on_epipolar_lines_are_the_slow_ones(center):
    images, (first, second) = two_photos(center)
    matcher = EpipolarNearest(ratio=0.8)
    rows = matcher.match_posed(first, second, images).rows
    slow = slow_matches(matcher, first, second, images)
    assert len(slow) > 70
    same = {*map(tuple, rows.tolist())} & {*map(tuple, slow)}  # the band is of angles: a little wider off the centre
    assert len(same) >= 0.95 * max(len(slow), len(rows))
    assert (np.diff(rows[:, 0]) > 0).all()
    assert len(MutualNearest(ratio=0.8).match(first, second).rows) < 0.2 * len(
        rows
    )  # what looks alike is not told apart


def test_rays_too_far_apart_do_not_match():
    images, (first, second) = two_photos((3, 0, 0))  # points 4 to 9 m away: rays 18 to 41 degrees apart
    assert len(EpipolarNearest(ratio=0.8).match_posed(first, second, images).rows) > 70
    rows = EpipolarNearest(ratio=0.8, max_angle_deg=25).match_posed(first, second, images).rows
    x, y = (camera_rays(i.camera, f.keypoints[r]) for i, f, r in zip(images, (first, second), rows.T, strict=True))
    depth = 3 / (x[:, 0] - y[:, 0])
    assert len(rows) > 20
    assert depth.min() > 5.5


def test_photos_of_one_centre_and_without_keypoints():
    images, (first, second) = two_photos((0, 0, 0))
    matcher, plain = EpipolarNearest(ratio=0.9), MutualNearest(ratio=0.9)
    np.testing.assert_array_equal(matcher.match_posed(first, second, images).rows, plain.match(first, second).rows)
    images, _ = two_photos((1, 0, 0))
    empty = Features(np.zeros((0, 2)), np.zeros((0, 32), np.float16), np.zeros(0))
    assert (
        len(matcher.match_posed(first, empty, images).rows) == len(matcher.match_posed(empty, first, images).rows) == 0
    )
    lone = Features(first.keypoints[:1], first.descriptors[:1], np.ones(1))
    assert len(matcher.match_posed(lone, second, images).rows) <= 1


def test_the_stage_gives_the_poses_and_knows_when_they_changed(tmp_path):
    images, features = two_photos((1, 0, 0))
    bench = Workbench(Store(tmp_path))

    def found(placed, matcher, posed=True):
        shelf = bench.store.shelf("features", {"of": "these"})
        shelved = Shelved(shelf, {"a": "0" * 16, "b": "1" * 16})
        if "a" not in shelved:
            shelf.fill(iter([("0" * 16, features[0], 0.0), ("1" * 16, features[1], 0.0)]))
        photos = Photos("reference", ImageList(placed), {}, {}, shelved)
        rows = match_pairs(bench, matcher, [("a", "b")], photos, posed=posed)["a", "b"].rows
        return rows, bench.records[-1].computed

    matcher, plain = EpipolarNearest(ratio=0.8), MutualNearest(ratio=0.8)
    rows, computed = found(images, matcher)
    np.testing.assert_array_equal(rows, matcher.match_posed(*features, images).rows)
    assert (computed, found(images, matcher)[1]) == (1, 0)
    moved = images[0], dataclasses.replace(images[1], pose=Pose(np.eye(3), np.array([-1.0, 0, 0.1])))
    assert found(moved, matcher)[1] == 1
    unposed, computed = found(images, matcher, posed=False)
    np.testing.assert_array_equal(unposed, plain.match(*features).rows)
    assert (computed, found(moved, matcher, posed=False)[1]) == (1, 0)
    assert [found(placed, plain)[1] for placed in (images, moved)] == [1, 0]
