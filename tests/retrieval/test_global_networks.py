"""Global descriptors by pooling: slow twins from the specification, whitening, photos of all sizes."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from localize.kernels.area import shrunk_by_area
from localize.kernels.whitening import learned_whitening, pca_whitening, whitened
from localize.networks.small import SmallTrunk
from localize.retrieval.base import NothingLearned
from localize.retrieval.gem import Gem
from localize.types import InputError
from localize.weights.whitening import write_whitening
from tests.networks.test_pooling import slow_gem, slow_rmac, slow_unit


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coarse random colours, (H, W, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(256, size=(-(-height // 8), -(-width // 8), 3))
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.uint8)


def small_weights(folder) -> str:
    """A file with a random small trunk."""
    torch.manual_seed(0)
    trunk = SmallTrunk().eval()
    for part in trunk.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
    save_file({f"trunk.{n}": t for n, t in trunk.state_dict().items()}, folder / "small.safetensors")
    return str(folder / "small.safetensors")


@pytest.fixture
def small(tmp_path):
    return Gem(backbone="small", weights=small_weights(tmp_path), precision="float32")


def slow_resized(image, scale):
    """(H, W, 3) bilinear without smoothing, corner to corner, filled up to 67 px with zeros."""
    h, w = (int(side * scale) for side in image.shape[:2])
    found = np.zeros((max(h, 67), max(w, 67), 3))
    for y in range(h):
        for x in range(w):
            v, u = ((i + 0.5) * old / new - 0.5 for i, old, new in zip((y, x), image.shape, (h, w), strict=False))
            v, u = max(v, 0), max(u, 0)
            v0, u0 = int(v), int(u)
            v1, u1 = min(v0 + 1, len(image) - 1), min(u0 + 1, image.shape[1] - 1)
            a, b = v - v0, u - u0
            top, low = ((1 - b) * image[r, u0].astype(float) + b * image[r, u1] for r in (v0, v1))
            found[y, x] = (1 - a) * top + a * low
    return found


@pytest.mark.parametrize("pooling", ["gem", "mac", "rmac"])
def test_descriptor_is_the_slow_one(small, pooling):
    gem = dataclasses.replace(small, pooling=pooling, scales=(1.0, 0.7071, 0.5), power=2.5)
    pixels, network, power = photo(71, 103), gem._network(), 2.5 if pooling == "gem" else 1
    vectors = []
    for scale in gem.scales:
        image = torch.tensor(slow_resized(pixels, scale)).permute(2, 0, 1)[None].float()
        maps = network(image)[0].numpy()
        slow = {"gem": lambda m: slow_gem(m, 2.5), "mac": lambda m: m.max((1, 2)), "rmac": slow_rmac}[pooling]
        vectors.append(slow_unit(slow(maps)))
    expected = slow_unit(np.mean([v**power for v in vectors], axis=0) ** (1 / power))
    np.testing.assert_allclose(gem.describe(pixels, gem.fit(None)), expected, atol=1e-5)


def test_contract(small):
    for size in ((1, 1), (3, 200), (67, 67)):
        for precision in ("float32", "bfloat16"):
            gem = dataclasses.replace(small, precision=precision, scales=(1.0, 0.5))
            found = pickle.loads(pickle.dumps(gem)).describe(photo(*size), NothingLearned())
            assert (found.shape, found.dtype) == ((64,), np.float32)
            assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
            np.testing.assert_array_equal(found, gem.describe(photo(*size), NothingLearned()))
    with pytest.raises(ValueError, match="expected RGB"):
        small.describe(photo(9, 9)[:, :, 0], NothingLearned())


def test_half_precision_changes_little(small):
    exact, short = (
        dataclasses.replace(small, precision=p).describe(photo(120, 160), NothingLearned())
        for p in ("float32", "bfloat16")
    )
    assert 0.999 < exact @ short < 1 - 1e-9


def test_settings_that_cannot_be(small, tmp_path):
    with pytest.raises(InputError, match=r"Gem.scales is \(2.0,\)"):
        Gem(scales=(2.0,))
    with pytest.raises(InputError, match=r"Gem.dim keeps the first components"):
        Gem(dim=5)
    assert "none.safetensors is missing" in dataclasses.replace(small, weights="none.safetensors").preflight()[0]
    assert "is not of backbone vgg16" in dataclasses.replace(small, backbone="vgg16").preflight()[0]
    assert "is not of backbone resnet50v2" in dataclasses.replace(small, backbone="resnet50v2").preflight()[0]
    assert small.preflight() == []


def test_a_whitening_belongs_to_its_settings(small, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "w.safetensors"
    mean, projection = rng.normal(size=64).astype("f") * 0.1, rng.normal(size=(9, 64)).astype("f")
    write_whitening(path, mean, projection, small.made_with())
    gem = dataclasses.replace(small, whitening=str(path), dim=4)
    assert gem.preflight() == []
    assert gem.files() == [small.weights, str(path)]
    plain, pixels = small.describe(photo(80, 80), NothingLearned()), photo(80, 80)
    expected = slow_unit(projection[:4].astype(float) @ (plain - mean))
    np.testing.assert_allclose(gem.describe(pixels, NothingLearned()), expected, atol=1e-5)
    assert "was learned with pooling 'gem', not 'mac'" in dataclasses.replace(gem, pooling="mac").preflight()[0]
    path.write_bytes(path.read_bytes()[:50])
    assert "w.safetensors is cut off" in gem.preflight()[0]


def test_learned_whitening_is_the_slow_one():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    first, second = np.arange(0, 50, 2), np.arange(1, 51, 2)
    within = sum(np.outer(vectors[a] - vectors[b], vectors[a] - vectors[b]) for a, b in zip(first, second, strict=True))
    sphere = np.linalg.inv(np.linalg.cholesky(within / len(first)))
    mean = sum(vectors[a] for a in first) / len(first)
    spread = sum(np.outer(sphere @ (v - mean), sphere @ (v - mean)) for v in vectors)
    values, directions = np.linalg.eig(spread)
    slow = np.array([directions[:, i] @ sphere for i in sorted(range(4), key=lambda i: -values[i])])
    found_mean, found = learned_whitening(vectors, first, second)
    np.testing.assert_allclose(found_mean, mean, atol=1e-5)
    signs = np.sign((found * slow).sum(1, keepdims=True))
    np.testing.assert_allclose(found * signs, slow, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        whitened(vectors, found_mean, found, 2)[7] * signs[:2, 0], slow_unit(slow[:2] @ (vectors[7] - mean)), atol=1e-5
    )


def test_fewer_pairs_than_dimensions_are_no_error():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(12, 20))
    for shrinkage in (0.0, 0.3):
        _, projection = learned_whitening(vectors, np.arange(6), np.arange(6, 12), shrinkage)
        assert projection.shape == (20, 20)
        assert np.isfinite(projection).all()


def test_pca_whitening_finds_the_same_from_few_and_from_many():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(9, 9)) @ np.diag(np.arange(1, 10))
    mean, few = pca_whitening(vectors[:6])
    assert few.shape == (5, 9)  # one less than vectors
    spread = (vectors[:6] - mean) @ few.T
    np.testing.assert_allclose(spread.T @ spread / 6, np.eye(5), atol=1e-4)
    wide = np.concatenate([vectors[:6], np.zeros((6, 9))], axis=1)[:, :18]  # the same, among more dimensions
    np.testing.assert_allclose(np.abs(pca_whitening(wide)[1][:, :9]), np.abs(few), atol=1e-4)
    doubled = pca_whitening(np.concatenate([vectors[:6], vectors[:6]]))[1]  # more vectors than dimensions
    np.testing.assert_allclose(np.abs(doubled), np.abs(few), atol=1e-4)
    assert len(pca_whitening(vectors[:1])[1]) == len(pca_whitening(vectors[:0])[1]) == 0


def test_photos_shrink_by_area():
    pixels, new = photo(23, 37), 10 / 37
    found = shrunk_by_area(pixels, 10)
    assert (found.shape, found.dtype) == ((6, 10, 3), np.float32)
    assert round(23 * new) == 6
    fine = pixels.astype(float).repeat(6, 0).repeat(10, 1)  # now every new pixel is 23 x 37 whole ones
    slow = fine.reshape(6, 23, 10, 37, 3).mean((1, 3))
    np.testing.assert_allclose(found, slow, atol=1e-3)
    np.testing.assert_array_equal(shrunk_by_area(pixels, 37), pixels)
    assert shrunk_by_area(photo(1, 500), 10).shape == (1, 10, 3)
