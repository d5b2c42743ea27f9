"""The dense CRBNet: its kernels against the network's own sampling, and what a feature must do."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import shift

from localize.features.base import DescribesGiven
from localize.features.dense_crbnet import DenseCrbnet
from localize.networks.dense_crbnet import DenseCrbnet as Network
from localize.networks.dense_crbnet import lit_alike
from localize.networks.dense_find import describe, find, looked_at
from localize.networks.inference import folded
from localize.types import InputError
from localize.weights.dense_crbnet import load_dense
from localize.weights.shipped import weights_file
from tests.contracts.test_features import check_local_feature
from tests.generated_photos import textured


@pytest.fixture(scope="module")
def network() -> Network:
    """The one that ships."""
    return folded(load_dense(weights_file("dense_crbnet", "feature.weights")))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return textured(3, (240, 200)).mean(2).astype(np.uint8)


def found(network, photo, max_keypoints):
    """(places, scores, vectors) of a photo as it is."""
    seen = looked_at(network, photo)
    places, scores = find(seen, max_keypoints, -4.0)
    return places, scores, describe(network, seen, places)


@pytest.mark.parametrize("feature", [DenseCrbnet(), DenseCrbnet(scales=(1.0,), min_size_px=1)], ids=str)
def test_contract(feature):
    check_local_feature(feature)


def test_vectors_are_those_of_the_readable_twin(network, photo):
    places, scores, vectors = found(network, photo, 500)
    filled = np.pad(photo, [(0, -200 % 32), (0, -240 % 32)], mode="edge")
    with torch.inference_mode():
        _, maps = network(torch.from_numpy(filled)[None, None].float())
        wanted = network.vectors(network.sampled(maps, [torch.from_numpy(places)]))
    np.testing.assert_allclose(vectors, wanted.numpy(), atol=1e-4)
    assert len(places) > 100
    assert (np.diff(scores) <= 0).all()


def test_light_changes_little_and_a_shift_moves_the_keypoints(network, photo):
    """The same places in a photo of half the contrast, and 32 px to the right where the photo is moved by that."""
    places, _, vectors = found(network, photo, 200)
    changed = {"light": ((photo * 0.5 + 60).astype(np.uint8), 0), "shift": (shift(photo, (0, 32), mode="nearest"), 32)}
    for name, (seen, dx) in changed.items():
        there, _, others = found(network, seen, 400)
        inside = (places[:, 0] > 48) & (places[:, 0] + dx < 200)
        apart = np.linalg.norm(places[inside, None] + [dx, 0] - there, axis=2)
        assert (apart.min(1) < 0.5).mean() > 0.85, name
        same = apart.argmin(1)[apart.min(1) < 0.5]
        near = (vectors[inside][apart.min(1) < 0.5] * others[same]).sum(1)
        assert np.median(near) > 0.9, name


def test_light_around_a_pixel_is_taken_out():
    images = torch.rand(1, 1, 96, 64) * 20 + 30
    brighter = images.clone()
    brighter[..., 32:] = 4 * images[..., 32:]  # one half lies in the sun
    local = lit_alike(images)[0, 1], lit_alike(brighter)[0, 1]
    for half in (slice(0, 8), slice(56, 64)):  # away from the shadow's edge
        a, b = (part[:, half] / part[:, half].std() for part in local)
        assert (a - b).abs().max() < 0.2


def test_given_keypoints_are_described_as_its_own(photo):
    feature = DenseCrbnet(scales=(1.0,))
    found = feature.extract(photo)
    assert isinstance(feature, DescribesGiven)
    again = feature.describe_at(photo, found.keypoints, found.scales, np.zeros(len(found), np.float32))
    np.testing.assert_array_equal(again.keypoints, found.keypoints)
    np.testing.assert_allclose(again.descriptors.astype(float), found.descriptors.astype(float), atol=2e-3)
    none = feature.describe_at(photo, np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    assert len(none) == 0
    with pytest.raises(InputError, match="NaN"):
        feature.describe_at(photo, np.array([[3.0, np.nan]]), np.ones(1), np.zeros(1))


def test_levels_of_a_large_photo_are_kept_in_its_pixels(photo):
    large = np.kron(photo, np.ones((2, 2), np.uint8))
    own = DenseCrbnet(scales=(1.0,), min_size_px=1)
    one, small = dataclasses.replace(own, max_size_px=240).extract(large), own.extract(photo)
    apart = np.linalg.norm(one.keypoints[:50, None] / 2 - small.keypoints, axis=2)
    assert (apart.min(1) < 0.25).mean() > 0.9
    assert set(dataclasses.replace(own, scales=(1.0, 0.5)).extract(photo).scales) == {1.0, 2.0}
    enlarged = dataclasses.replace(own, min_size_px=480).extract(photo)
    assert set(enlarged.scales) == {0.5}
    apart = np.linalg.norm(enlarged.keypoints[:50, None] - small.keypoints, axis=2)
    assert (apart.min(1) < 1).mean() > 0.5


def test_bad_settings_and_weights_are_refused(tmp_path):
    with pytest.raises(InputError, match="scales"):
        DenseCrbnet(scales=(0.0,))
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    assert "cut off" in DenseCrbnet(weights=str(tmp_path / "other.safetensors")).preflight()[0]
