"""Points that stand still in the pictures are told from true ones that happen to, and are dropped."""

import numpy as np

from localize.mapping.pose_check import judge_poses
from localize.mapping.still import standing_still, still_points, without
from localize.mapping.triangulation import Triangulation
from localize.types import PairMatches
from tests.mapping.test_triangulation import generated_scene

HOOD = 60  # keypoints of it in each photo


def with_hood():
    """A generated scene whose photos all show the same keypoints at the same pixels, besides."""
    _, images, _, keypoints, matches = generated_scene(num_points=300, num_images=5)
    rng = np.random.default_rng(1)
    hood = rng.uniform((0, 400), (640, 480), (HOOD, 2))
    noisy = {
        n: np.concatenate([xy, hood + 0.3 * rng.normal(size=hood.shape)]).astype("f") for n, xy in keypoints.items()
    }
    more = 300 + np.repeat(np.arange(HOOD)[:, None], 2, 1)
    return images, noisy, {p: PairMatches(np.concatenate([m.rows, more])) for p, m in matches.items()}


def test_what_stands_still_is_dropped_and_no_evidence_against_the_poses():
    images, keypoints, matches = with_hood()
    verdict = judge_poses(images, matches, keypoints.__getitem__, matches.__getitem__, 1.5)
    assert verdict.still > 100
    assert verdict.share > 0.99
    town = Triangulation().build(images, keypoints, matches)
    still = still_points(town, keypoints)
    of_hood = np.array([k >= 300 for k in town.keypoint[town.indptr[:-1]]])
    assert of_hood.sum() > 3
    np.testing.assert_array_equal(still, of_hood)
    left = without(town, still)
    assert len(left.points) == (~still).sum()
    assert (left.keypoint < 300).all()
    np.testing.assert_array_equal(left.points, town.points[~still])


def test_what_stays_by_chance_is_kept():
    rng = np.random.default_rng(0)
    moved = np.linalg.norm(rng.uniform(-40, 40, (50_000, 2)), axis=1)  # a disc of 2 px holds 98 of them
    assert standing_still(moved, np.full(len(moved), 2.0)) is None
    watermark = np.concatenate([moved, np.full(250, 0.4)])
    found = standing_still(watermark, np.full(len(watermark), 2.0))
    assert found[-250:].all()
