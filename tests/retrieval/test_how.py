"""The component HOW: what it learns of references, what trained weights decide."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.numpy import load_file, save_file

from localize.kernels.whitening import whitening_of_moments
from localize.networks.how import How as Network
from localize.networks.how import HowSettings
from localize.pipelines.judging import draw_context
from localize.retrieval.base import NothingLearned
from localize.retrieval.how import How, Reduction
from localize.types import InputError
from localize.weights.how import write_how
from tests.conftest import results
from tests.generated_photos import textured

SMALL = How(backbone="small", scales=(1.0, 0.5), max_edge_px=128, dim=16, precision="float32")
PHOTOS = [textured(i) for i in range(4)]


def test_whitening_of_moments_is_that_of_the_vectors():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 3
    vectors[:, 5] = vectors[:, 0]  # one component is a rounding error
    mean, projection = whitening_of_moments(vectors.mean(0), np.cov(vectors.T, bias=True), 6)
    found = (vectors - mean) @ projection.T
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.diag([1] * 5 + [0]), atol=1e-4)
    assert not projection[5].any()
    assert whitening_of_moments(np.zeros(2), 1e-20 * np.eye(2), 2)[1].max() == pytest.approx(1e7)  # the floor


@pytest.mark.parametrize("pooling", ["how", "gem"])
def test_descriptors_are_of_unit_length_and_find_their_own_photo(pooling):
    dim = 3 if pooling == "gem" else 16  # four pooled vectors have three components
    how = dataclasses.replace(SMALL, pooling=pooling, dim=dim)
    learned = how.fit(PHOTOS)
    vectors = np.stack([how.describe(photo, learned) for photo in PHOTOS])
    parts = np.stack([how.describe(photo[4:, 6:], learned) for photo in PHOTOS])
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert (parts @ vectors.T).argmax(1).tolist() == [0, 1, 2, 3]
    for other in (PHOTOS[0][:1, :1], np.zeros_like(PHOTOS[0])):
        assert np.isfinite(how.describe(other, learned)).all()


def test_the_reduction_whitens_the_places_of_photos_spread_evenly():
    learned = dataclasses.replace(SMALL, num_photos=2).fit([PHOTOS[0], None, PHOTOS[1]])
    places = [SMALL.local_features(photo, learned, 10**6, (1.0,)) for photo in PHOTOS[:2]]
    features = np.concatenate(places)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(features.T), np.eye(16), atol=0.02)
    with pytest.raises(AssertionError):  # of other photos it is another one
        np.testing.assert_allclose(SMALL.fit(PHOTOS[2:]).projection, learned.projection, atol=0.1)
    assert SMALL.fit(PHOTOS).projection.shape == (16, 64)
    assert dataclasses.replace(SMALL, dim=None).fit(PHOTOS).projection.shape == (64, 64)  # the trunk has no more


def test_the_local_features_are_those_with_most_attention_of_all_scales():
    learned = Reduction(np.zeros(64, np.float32), np.eye(64, dtype=np.float32))
    how = dataclasses.replace(SMALL, dim=64, smoothing="none")  # so that a feature's length is its attention
    every = how.local_features(PHOTOS[0], learned, 10**6, how.scales)
    lengths = np.linalg.norm(every, axis=1)
    assert (np.diff(lengths) <= 1e-4).all()
    assert len(every) == sum(len(how.local_features(PHOTOS[0], learned, 10**6, (s,))) for s in how.scales)
    np.testing.assert_array_equal(how.local_features(PHOTOS[0], learned, 50, how.scales), every[:50])


@pytest.fixture
def trained(tmp_path) -> str:
    torch.manual_seed(0)
    settings = HowSettings(backbone="small", smoothing="learned", gcn_layers=1, num_nodes=20, dim=8)
    write_how(tmp_path / "how.safetensors", Network(settings.make_backbone(), settings))
    return str(tmp_path / "how.safetensors")


def test_trained_weights_decide_and_are_not_contradicted(trained):
    how = How(weights=trained, scales=(1.0,), max_edge_px=128, smoothing="learned", dim=8)
    learned = how.fit([None])  # no photo is looked at
    assert isinstance(learned, NothingLearned)
    assert how.describe(PHOTOS[0], learned).shape == (8,)
    assert how.preflight() == []
    (said,) = How(weights=trained, smoothing="average", dim=128, pooling="how").preflight()
    assert "was trained with smoothing 'learned', not 'average', dim 8, not 128: leave these out" in said
    (said,) = dataclasses.replace(SMALL, smoothing="learned").preflight()
    assert "needs weights of +pipeline=train_spatial" in said
    (said,) = How(weights="compact").preflight()
    assert "is not of backbone resnet50v2" in said
    assert "gone.pth is missing" in How(weights="gone.pth").preflight()[0]


@pytest.mark.parametrize(
    "wrong", [{"side": 4}, {"side": "3"}, {"dim": -1}, {"bandwidth": "wide"}, {"backbone": "gone"}]
)
def test_weights_whose_settings_make_no_network_are_refused(trained, wrong):
    settings = HowSettings(backbone="small", smoothing="learned", gcn_layers=1, num_nodes=20, dim=8)
    told = json.dumps(dataclasses.asdict(settings) | wrong)
    save_file(load_file(trained), trained, {"network": "how", "settings": told})
    assert "has settings of HOW that are not understood" in How(weights=trained).preflight()[0]


def test_what_was_learned_is_drawn_beside_its_photos(trained, tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(2)]
    for path, photo in zip(paths, PHOTOS, strict=False):
        PIL.Image.fromarray(photo).save(path)
    how = How(weights=trained, max_edge_px=128)
    said = draw_context.run(output=str(tmp_path / "out"), photos=paths, retrieval=how)
    of = results(tmp_path / "out")["photos"][paths[1]]
    assert of["bandwidth"]["mean"] == pytest.approx(1, abs=1e-3)  # as it starts
    assert of["self-confidence"]["most"] == pytest.approx(0.8808, abs=1e-3)
    assert of["attention"]["most"] == 1
    assert "self-confidence 0.881 (0.881 to 0.881)" in said
    assert PIL.Image.open(tmp_path / "out" / "context.png").size[0] > 1000
    with pytest.raises(InputError, match="nothing of it was learned"):
        draw_context.run(output=str(tmp_path), photos=paths, retrieval=SMALL)
    with pytest.raises(InputError) as raised:
        draw_context.run(output=str(tmp_path), photos="x.jpg")
    assert len(raised.value.problems) == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scales": (8.0,)}, "greater than 0 and at most 4"),
        ({"side": 4}, "must be odd"),
        ({"pooling": "max"}, "must be one of: None, how, gem"),
        ({"smoothing": "some"}, "must be one of"),
    ],
)
def test_what_cannot_be_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        How(**wrong)
