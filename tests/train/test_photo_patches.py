"""Patches of single photos: which keypoints agree, and what their labels say."""

import logging

import numpy as np
import PIL.Image
import pytest

from localize.features.sift import Sift
from localize.io.benchmarks.phototour import read_phototour
from localize.pipelines.training import patches_from_photos
from localize.store import Store
from localize.train.patches.from_photos import Homographies, agreeing, distinct
from localize.train.photos.homographies import Keypoints
from localize.types import Features, InputError
from tests.generated_photos import textured

MAKE = Homographies(versions=3, max_points=150)


def random_keypoints(rng, n: int) -> Keypoints:
    return Keypoints(rng.uniform(20, 180, (n, 2)), np.exp(rng.uniform(0, 2, n)), rng.uniform(-3, 3, n))


@pytest.fixture(scope="module")
def photo():
    return textured(0)


def relative(patches) -> np.ndarray:
    """(N, 256) of unit length, of which products are correlations."""
    small = patches.reshape(len(patches), 16, 4, 16, 4).mean((2, 4)).reshape(len(patches), -1)
    small = small - small.mean(1, keepdims=True)
    return small / np.linalg.norm(small, axis=1, keepdims=True)


def correlations(found) -> tuple[np.ndarray, np.ndarray]:
    """Of all pairs of patches of one point, and of all pairs of two."""
    like = relative(found.patches) @ relative(found.patches).T
    same = found.points[:, None] == found.points
    return like[same & ~np.eye(len(found), dtype=bool)], like[~same]


def test_who_agrees_against_brute_force():
    rng, limits = np.random.default_rng(5), Homographies(max_error_sigma=0.8)
    expected = random_keypoints(rng, 75)[np.repeat(np.arange(75), 2)]
    expected.xy[1::2] += rng.normal(0, 1, (75, 2))  # competes for the same keypoints
    copies = expected[np.repeat(np.arange(150), 3)]
    detected = Keypoints(
        copies.xy + rng.normal(0, 1.2, (450, 2)),
        copies.scales * np.exp(rng.normal(0, 0.2, 450)),
        copies.orientations + rng.normal(0, 0.3, 450) + 2 * np.pi * rng.integers(-1, 2, 450),
    )
    cost = np.full((150, 450), np.inf)
    for i in range(150):
        px = np.hypot(*(detected.xy - expected.xy[i]).T)
        ratio = np.maximum(detected.scales / expected.scales[i], expected.scales[i] / detected.scales)
        turn = np.degrees(np.abs((detected.orientations - expected.orientations[i] + np.pi) % (2 * np.pi) - np.pi))
        fits = (px <= 2) & (px <= 0.8 * expected.scales[i]) & (ratio <= 1.3) & (turn <= 25)
        distance = (px / 2) ** 2 + (np.log(ratio) / np.log(1.3)) ** 2 + (turn / 25) ** 2
        cost[i, fits] = distance[fits]
    wanted = [(i, j) for i, j in np.argwhere(np.isfinite(cost)) if cost[i, j] == cost[i].min() == cost[:, j].min()]
    assert 40 < len(wanted) < 150
    assert list(zip(*agreeing(expected, detected, limits), strict=True)) == wanted


def test_one_place_is_one_point():
    xy = np.array([[50, 50], [50, 50], [52, 50], [50, 50], [90, 50], [95, 50], [90, 90], [95, 90.0]])
    places = Keypoints(xy, np.array([2, 2, 2.4, 5, 2, 2, 8, 8.0]), np.array([0, 2, 0, 0, 0, 0, 0, 0.0]))
    point = {(50, 2): 0, (52, 2.4): 0, (50, 5): 1, (90, 2): 2, (95, 2): 3, (90, 8): 4, (95, 8): 4}
    for seed in range(5):
        kept = distinct(places, np.random.default_rng(seed))
        assert sorted(point[x, s] for x, s in zip(kept.xy[:, 0], kept.scales, strict=True)) == [0, 1, 2, 3, 4]


def test_labels_of_a_generated_photo(photo):
    found = MAKE.patches(photo, Sift(), 1)
    _, count = np.unique(found.points, return_counts=True)
    assert count.min() >= 2
    assert count.max() <= 1 + MAKE.versions
    assert 80 < len(count) <= 150
    same, different = correlations(found)
    assert (same > 0.3).mean() > 0.93
    assert (different > 0.3).mean() < 0.5
    assert np.median(same) > 0.7


class Forgetful:
    """Finds everything in the first photo and next to nothing in the others, as in the dark."""

    def __init__(self):
        self.asked = 0

    def extract(self, grey: np.ndarray) -> Features:
        self.asked += 1
        f = Sift().extract(grey)
        rows = slice(None) if self.asked == 1 else slice(None, None, 40)
        return Features(*(a[rows] for a in (f.keypoints, f.descriptors, f.scores, f.scales, f.orientations)))


def test_what_a_dark_version_hides_is_cut_where_it_should_be(photo):
    without = Homographies(versions=2, dark_share=0).patches(photo, Forgetful(), 3)
    found = Homographies(versions=2, dark_share=0.5).patches(photo, Forgetful(), 3)
    assert len(np.unique(without.points)) < 20 < 60 < len(np.unique(found.points))
    same, different = correlations(found)
    assert np.median(same) > 0.6
    assert np.median(different) < 0.35


@pytest.mark.parametrize("size", [(1, 1), (30, 20), (200, 150)])
def test_a_photo_without_texture_gives_nothing(size):
    found = MAKE.patches(np.full((size[1], size[0], 3), 90, np.uint8), Sift())
    assert found.patches.shape == (0, 64, 64)


def cut(folder, output, **settings) -> tuple[np.ndarray, np.ndarray]:
    settings = {"feature": Sift(), "versions": 2, "max_points": 40, "photos": (str(folder),)} | settings
    said = patches_from_photos.run(Store(output / "store"), output=str(output), **settings)
    assert "+pipeline=train_crbnet" in said
    return read_phototour(output / "patches")


def test_workers_and_other_photos_change_nothing_and_a_bad_photo_is_named(tmp_path, caplog):
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    PIL.Image.fromarray(textured(1, (160, 120))).save(photos / "a.png")
    PIL.Image.fromarray(textured(2, (160, 120))).convert("L").save(photos / "more" / "b.jpg")
    with caplog.at_level(logging.ERROR):
        patches, points = cut(photos, tmp_path / "one")
        assert not caplog.records
        (photos / "broken.jpg").write_bytes(b"no photo")
        again, same = cut(photos, tmp_path / "two", workers=2)
    assert "broken.jpg" in caplog.text
    assert len(caplog.records) == 1
    assert len(np.unique(points)) > 20
    assert (patches == again).all()
    assert (points == same).all()
    one, _ = cut(photos, tmp_path / "three", pattern="more/*")
    assert (one == patches[-len(one) :]).all()
    other, _ = cut(photos, tmp_path / "four", pattern="a.*", seed=1)
    assert not np.array_equal(other, patches[: len(other)])


def test_folders_without_photos(tmp_path):
    (tmp_path / "empty").mkdir()
    PIL.Image.fromarray(textured(1, (40, 30))).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="gone is missing") as error:
        cut(
            tmp_path,
            tmp_path / "out",
            photos=(str(tmp_path / "gone"), str(tmp_path / "empty"), str(tmp_path)),
            pattern="x*",
        )
    assert [word in p for word, p in zip(("missing", "no photos", "x*"), error.value.problems, strict=True)] == [
        True
    ] * 3
    with pytest.raises(InputError, match="must be at least 1"):
        cut(tmp_path, tmp_path / "out", max_photos=0)


@pytest.mark.parametrize(
    "wrong", [{"perspective": 0.9}, {"max_scale": 0.5}, {"max_scale_ratio": 1.0}, {"versions": 0}, {"shear": -0.1}]
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Homographies(**wrong)
