"""A whitening learned from pairs of photos, listed or of a map, and its use."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from localize.keys import describe
from localize.pipelines.training import learn_whitening
from localize.retrieval.base import NothingLearned
from localize.retrieval.gem import Gem
from localize.retrieval.vlad import Vlad
from localize.store import Store
from localize.train.whitening import covisible_pairs, whitening_of_pairs
from localize.types import Image, ImageList, InputError, Map
from tests.conftest import PINHOLE
from tests.retrieval.test_global_networks import photo, small_weights


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        noise = np.random.default_rng(i).integers(30, size=(70, 80, 3))
        PIL.Image.fromarray((photo(70, 80, seed=i // 2) * 0.8 + noise).astype(np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "pairs.txt").write_text("0.png 1.png\n2.png 3.png\n4.png 5.png\n")
    return tmp_path


def test_listed_pairs_teach_a_whitening(folder):
    gem = Gem(backbone="small", weights=small_weights(folder), precision="float32")
    given = {"pairs": str(folder / "pairs.txt"), "photos": str(folder), "retrieval": gem}
    said = learn_whitening.run(None, Store(folder / "store"), output=str(folder), dimensions=2, **given)
    assert "to 2 dimensions, learned from 3 pairs of 6 photos" in said
    white = dataclasses.replace(gem, whitening=str(folder / "whitening.safetensors"))
    assert white.preflight() == []
    vectors = np.stack(
        [white.describe(np.asarray(PIL.Image.open(folder / f"{i}.png")), NothingLearned()) for i in range(6)]
    )
    same = vectors @ vectors.T
    assert vectors.shape == (6, 2)
    assert min(same[i, i + 1] for i in (0, 2, 4)) > 0.9
    assert max(same[i, j] for i in (0, 1) for j in (2, 3, 4, 5)) < 0.9
    before = describe(white)
    learn_whitening.run(None, Store(folder / "store"), output=str(folder), dimensions=1, **given)
    assert describe(white) != before  # another whitening is another key

    (folder / "5.png").unlink()
    with pytest.raises(InputError, match=r"5\.png of .*pairs\.txt is missing"):
        learn_whitening.run(None, Store(folder / "store"), output=str(folder), **given)
    with pytest.raises(InputError, match="take retrieval=gem"):
        learn_whitening.run(None, Store(folder / "store"), output=str(folder), **{**given, "retrieval": Vlad()})


def test_few_main_components_make_few_pairs_enough():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(10, 3)) @ rng.normal(size=(3, 30))
    vectors = np.concatenate([places, places]) + 0.01 * rng.normal(size=(20, 30))
    mean, projection = whitening_of_pairs(vectors, np.stack([np.arange(10), np.arange(10, 20)], axis=1), 3, 0.0)
    assert projection.shape == (3, 30)
    differences = (vectors[:10] - vectors[10:]) @ projection.T
    np.testing.assert_allclose(differences.T @ differences / 10, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(mean @ projection.T, vectors[:10].mean(0) @ projection.T, atol=1e-3)
    with pytest.raises(InputError, match="1 pairs of 2 photos are too few"):
        whitening_of_pairs(vectors[:2], np.array([[0, 1]]), None, 0.0)


def test_images_that_see_the_same_points_are_pairs():
    rng = np.random.default_rng(0)
    sees = rng.random((40, 6)) < 0.4  # point, image
    image = np.nonzero(sees)[1]
    image = np.append(image, image[-1])  # seen twice by the last one
    indptr = np.concatenate([[0], np.cumsum(sees.sum(1))])
    indptr[-1] += 1
    images = ImageList(Image(f"{i}.png", PINHOLE) for i in range(6))
    town = Map(images, np.zeros((40, 3)), indptr, image.astype(np.int32), np.zeros(len(image), np.int32))
    expected = [
        [a, b]
        for a in range(6)
        for b in range(a + 1, 6)
        if (sees[:, a] & sees[:, b]).sum() >= 0.4 * min(sees[:, a].sum(), sees[:, b].sum())
    ]
    assert 0 < len(expected) < 15
    assert sorted(covisible_pairs(town, 0.4).tolist()) == expected
