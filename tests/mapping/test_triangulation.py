"""Maps of generated scenes with known points."""

import numpy as np
import pytest

from localize.mapping.match_blocks import FlatMatches
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


def test_blocks_are_whole_components_and_give_the_map_of_one_piece(monkeypatch):
    _, images, _, keypoints, matches = generated_scene(num_points=300)
    whole = Triangulation().build(images, keypoints, matches)
    monkeypatch.setattr("localize.mapping.triangulation.BLOCK", 200)
    parts = Triangulation().build(images, keypoints, matches)
    for column in ("indptr", "image", "keypoint"):
        np.testing.assert_array_equal(getattr(parts, column), getattr(whole, column))
    np.testing.assert_allclose(parts.points, whole.points, atol=1e-5)
    monkeypatch.setattr("localize.mapping.triangulation.available_cores", lambda: 1)
    np.testing.assert_array_equal(Triangulation().build(images, keypoints, matches).points, parts.points)


def test_keypoints_that_matches_connect_are_of_one_block():
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 40, 12)
    pairs = [(a, b) for a in range(12) for b in range(a + 1, 12) if rng.random() < 0.3]
    given = [(a, b, np.column_stack([rng.choice(sizes[i], 4, replace=False) for i in (a, b)])) for a, b in pairs]
    flat = FlatMatches.of(given)
    components = [{(i, k)} for i, size in enumerate(sizes) for k in range(size)]
    for a, b, rows in given:
        for i, k in rows.tolist():
            joined = [c for c in components if (a, i) in c or (b, k) in c]
            components = [c for c in components if c not in joined] + [set().union(*joined)]
    blocks = flat.blocks(sizes, 30)
    assert len(blocks) > 3
    nodes = [{(i, k) for i, rows in block.keypoints().items() for k in rows.tolist()} for block in blocks]
    for component in (c for c in components if len(c) > 1):
        assert sum(component <= own for own in nodes) == sum(bool(component & own) for own in nodes) == 1
    assert sum(len(block.rows) for block in blocks) == len(flat.rows)
    again = {(a, b, *row) for block in blocks for a, b, rows in block for row in rows.tolist()}
    assert again == {(a, b, *row) for a, b, rows in given for row in rows.tolist()}


def test_a_component_larger_than_a_block_stays_whole_and_is_named(caplog):
    chain = [(i, i + 1, np.repeat(np.arange(40)[:, None], 2, 1)) for i in range(5)]
    false = [(0, 1, np.column_stack([np.arange(39), np.arange(1, 40)]))]  # join the tracks of all points
    blocks = FlatMatches.of(chain).blocks(np.full(6, 40), 100)
    assert [sum(map(len, block.keypoints().values())) for block in blocks] == [102, 102, 36]
    assert not caplog.text
    assert len(FlatMatches.of(chain + false).blocks(np.full(6, 40), 100)) == 1
    assert "240 keypoints of references are connected by matches" in caplog.text


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
