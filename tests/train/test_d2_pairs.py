"""Pairs of crops for D2's training: cells that correspond by homographies and by depth."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from localize.geometry.poses import rotation_from_qvec
from localize.train.d2 import photos as d2_photos
from localize.train.d2.depth import DepthPairs, town_scene
from localize.train.d2.pairs import DepthCrop, DepthMove, HomographyMove, TrainingPair, matching_cells
from localize.train.d2.photos import WarpedPhotos
from localize.types import Camera, InputError, Pose
from tests.train.d2_data import write_photos, write_town


@pytest.mark.parametrize(("stride", "offset"), [(4, 0.0), (8, 3.5)])
def test_cells_go_where_their_pixels_go(stride, offset):
    photo = np.zeros((64, 64, 3), np.uint8)
    shift = np.array([[1, 0, stride], [0, 1, 0], [0, 0, 1]], float)
    side = 64 // stride
    first, second = matching_cells(TrainingPair(photo, photo, HomographyMove(shift)), stride, offset)
    assert second.tolist() == (first + 1).tolist()
    assert len(first) == side * (side - 1)
    double = np.diag([2.0, 2.0, 1.0])  # in COLMAP's pixels: index p goes to 2 p + 0.5
    first, second = matching_cells(TrainingPair(photo, photo, HomographyMove(double)), stride, offset)
    for a, b in zip(first, second, strict=True):
        for cell, other in ((a // side, b // side), (a % side, b % side)):
            assert other == np.rint((2 * (stride * cell + offset) + 0.5 - offset) / stride)


def slow_move(first, second, xy, tolerance, relative):
    """The correspondence of D2-Net's code, one position at a time, for pinhole cameras."""
    out = []
    for x, y in xy:
        depth = slow_depth(first.depth, x, y)
        if depth is None:
            continue
        f, _, cx, cy = first.camera.params
        u, v = x + first.corner[0] + 0.5, y + first.corner[1] + 0.5
        world = first.pose.rotation.T @ (np.array([(u - cx) / f, (v - cy) / f, 1]) * depth - first.pose.translation)
        z = second.pose.rotation @ world + second.pose.translation
        if z[2] <= 0:
            continue
        f, _, cx, cy = second.camera.params
        u, v = f * z[0] / z[2] + cx - second.corner[0] - 0.5, f * z[1] / z[2] + cy - second.corner[1] - 0.5
        there = slow_depth(second.depth, u, v)
        if there is not None and abs(there - z[2]) < tolerance * (there if relative else 1):
            out.append((x, y, u, v))
    return np.array(out)


def slow_depth(depth, x, y):
    x0, y0, x1, y1 = int(np.floor(x)), int(np.floor(y)), int(np.ceil(x)), int(np.ceil(y))
    if x0 < 0 or y0 < 0 or x1 >= depth.shape[1] or y1 >= depth.shape[0]:
        return None
    if min(depth[y0, x0], depth[y0, x1], depth[y1, x0], depth[y1, x1]) <= 0:
        return None
    return map_coordinates(depth.astype(float), [[y], [x]], order=1)[0]


@pytest.mark.parametrize(("tolerance", "relative"), [(0.05, False), (0.02, True), (9.0, False)])
def test_correspondences_from_depth_are_those_of_the_slow_way(tolerance, relative):
    rng = np.random.default_rng(4)
    camera = Camera("PINHOLE", 200, 160, [90.0, 90.0, 101.0, 79.0])
    poses = [Pose(rotation_from_qvec([1, *rng.normal(0, 0.02, 3)]), rng.normal(0, (0.2, 0.2, 0.01))) for _ in range(2)]
    poses.append(Pose(poses[0].rotation @ np.diag([-1, 1, -1]), -poses[0].translation))  # looks the other way
    depths = [(3 + gaussian_filter(rng.normal(size=(64, 64)), 6)).astype(np.float32) for _ in range(3)]
    depths[0][20:23] = 0  # a position at 22.5 has two known neighbours
    crops = [DepthCrop(camera, p, d, (70 + i, 50)) for i, (p, d) in enumerate(zip(poses, depths, strict=True))]
    xy = np.stack(np.meshgrid(np.arange(-2, 66, 3.5), np.arange(-2, 66, 3.5)), -1).reshape(-1, 2)
    for second in crops[1:]:
        moved, valid = DepthMove(crops[0], second, tolerance, relative)(xy)
        expected = slow_move(crops[0], second, xy, tolerance, relative)
        assert valid.sum() == len(expected)
        assert len(expected) > 30 or second is crops[2]
        if len(expected):
            np.testing.assert_allclose(np.column_stack([xy, moved])[valid], expected, atol=1e-6)


def test_a_warped_crop_shows_the_same_where_the_homography_says(tmp_path, monkeypatch):
    monkeypatch.setattr(d2_photos, "random_change", lambda photo, *_, **__: photo)
    source, shown = WarpedPhotos(tuple(str(p) for p in sorted(write_photos(tmp_path).glob("*.png"))), 64), 0
    for seed in range(20):
        pair = source.pair(np.random.default_rng(seed))
        if pair is None:
            continue
        xy = np.stack(np.meshgrid(np.arange(4, 60, 3), np.arange(4, 60, 3)), -1).reshape(-1, 2).astype(float)
        moved, valid = pair.moves(xy)
        valid &= ((moved >= 2) & (moved <= 61)).all(1)
        before = pair.first[tuple(xy[valid].astype(int).T[::-1])].astype(float)
        after = np.stack(
            [map_coordinates(pair.second[..., c].astype(float), moved[valid].T[::-1], order=1) for c in range(3)], 1
        )
        shown += valid.sum()
        assert np.median(np.abs(after - before)) < 8, seed  # half a pixel off makes it 14
    assert shown > 1000


def test_a_rendered_town_gives_pairs_of_the_same_places(tmp_path):
    town = write_town(tmp_path)
    scene = town_scene(town, 0.5, 0.02)
    assert scene.pairs.tolist() == [[0, 1], [1, 0]]
    pair = DepthPairs((scene,), 64, 0.02, True).pair(np.random.default_rng(7))
    moved, valid = pair.moves(np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), -1).reshape(-1, 2))
    assert valid.mean() > 0.5
    to = np.rint(moved[valid]).astype(int)
    same = pair.first.reshape(-1, 3)[valid].astype(float) - pair.second[to[:, 1], to[:, 0]]
    assert np.median(np.abs(same)) < 8
    with pytest.raises(InputError, match=r"no two photos with depth maps that overlap: render it with pipeline\.depth"):
        town_scene(town, 0.99, 0.02)
