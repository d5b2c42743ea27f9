"""NetVLAD against a slow twin in numpy, written from the specification, and from files as others lay them out."""

import dataclasses

import numpy as np
import pytest
import scipy.io
import torch

from localize.networks.netvlad import sharpness
from localize.retrieval.base import NothingLearned
from localize.retrieval.netvlad import NetVlad
from localize.types import InputError
from localize.weights import netvlad as netvlad_weights
from localize.weights.netvlad import load_netvlad
from tests.retrieval.test_global_networks import photo, small_weights

WIDTHS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512, 24: 512, 26: 512, 28: 512}
POOLS = (5, 10, 17, 24)  # a pooling comes before these
K, OUT = 3, 5
MEAN = np.array([121.0, 113.0, 101.0])  # of RGB


@pytest.fixture(scope="module")
def numbers() -> dict:
    """Random parameters, each as its formula has it."""
    rng = np.random.default_rng(0)
    convolutions, into = {}, 3
    for i, out in WIDTHS.items():
        weights = rng.standard_normal((out, into, 3, 3), np.float32) * np.float32(np.sqrt(2 / 9 / into))
        convolutions[i] = weights, rng.normal(size=out).astype(np.float32) * 0.1
        into = out
    parts = {"w": (K, 512), "c": (K, 512), "P": (OUT, K * 512), "b": (OUT,), "s": (K,)}
    found = {name: rng.normal(size=shape, scale=0.3).astype(np.float32) for name, shape in parts.items()}
    return {**found, "w": 10 * found["w"], "convolutions": convolutions}


def slow_vgg(x, convolutions):
    """(512, h, w) of an image (3, H, W) as the network wants it; no ReLU after the last convolution."""
    for i, (weights, bias) in convolutions.items():
        if i in POOLS:
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * h, : 2 * w].reshape(len(x), h, 2, w, 2).max((2, 4))
        wide, out = np.pad(x, ((0, 0), (1, 1), (1, 1))), 0
        for r in range(3):
            for c in range(3):
                seen = wide[:, r : r + x.shape[1], c : c + x.shape[2]]
                out = out + np.einsum("oi,ihw->ohw", weights[:, :, r, c].astype(float), seen, optimize=True)
        x = out + bias[:, None, None]
        if i != 28:
            x = np.maximum(x, 0)
    return x


def slow_residuals(maps, w, c, bias=None):
    """V[k, d], each cluster of length 1."""
    found = np.zeros(c.shape)
    for x in maps.reshape(len(maps), -1).T:
        x = x / np.linalg.norm(x)
        share = np.exp(w @ x + (0 if bias is None else bias))
        share /= share.sum()
        for k in range(len(c)):
            found[k] += share[k] * (x - c[k])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def unit(v):
    return v / np.linalg.norm(v)


def cell(values) -> np.ndarray:
    made = np.empty((1, len(values)), object)
    made[0, :] = values
    return made


@pytest.fixture(scope="module")
def matlab(numbers, tmp_path_factory):
    """The authors' file in miniature: a plain struct of 35 layers, the offsets are minus the centres."""
    path = tmp_path_factory.mktemp("weights") / "Pitts30K_struct.mat"
    layers = [{"name": f"layer{i}", "type": "other"} for i in range(35)]
    for i, (weights, bias) in numbers["convolutions"].items():
        layers[i]["weights"] = cell([weights.transpose(2, 3, 1, 0), bias])
    layers[30]["weights"] = cell([numbers["w"].T, -numbers["c"].T])
    layers[33]["weights"] = cell([numbers["P"].T[None, None], numbers["b"]])
    average = np.broadcast_to(MEAN.astype(np.float32), (4, 4, 3))
    net = {"layers": cell(layers), "meta": {"normalization": {"averageImage": average}}}
    scipy.io.savemat(path, {"net": net})
    return path


@pytest.fixture(scope="module")
def expected(numbers):
    """The photo's descriptors (Matlab's, pytorch-NetVlad's, that with a bias), slowly."""
    pixels = photo(33, 32).transpose(2, 0, 1).astype(float)
    w, c = numbers["w"].astype(float), numbers["c"].astype(float)
    found = slow_residuals(slow_vgg(pixels - MEAN[:, None, None], numbers["convolutions"]), w, c)
    flat = np.array([found[k, d] for d in range(512) for k in range(K)])  # clusters run fastest
    official = unit(numbers["P"] @ unit(flat) + numbers["b"])
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    maps = slow_vgg((pixels / 255 - mean[:, None, None]) / std[:, None, None], numbers["convolutions"])
    return official, *(unit(slow_residuals(maps, w, c, bias).ravel()) for bias in (None, numbers["s"]))


@torch.inference_mode()
def described(network, head):
    image = torch.tensor(photo(33, 32)).permute(2, 0, 1)[None].float()
    return head(network(image))[0].numpy()


def test_the_authors_file_gives_the_slow_twins_descriptor(matlab, expected):
    network, head = load_netvlad(matlab)
    np.testing.assert_allclose(described(network, head), expected[0], atol=1e-5)
    np.testing.assert_allclose(described(network, head.cut(2)), unit(expected[0][:2]), atol=1e-5)


def checkpoint(numbers, path, module="", bias=False):
    """As train.py of pytorch-NetVlad writes one, numpy's numbers and optimizer included."""
    state = {}
    for i, (weights, b) in numbers["convolutions"].items():
        state[f"encoder.{module}{i}.weight"] = torch.from_numpy(weights)
        state[f"encoder.{module}{i}.bias"] = torch.from_numpy(b)
    state[f"pool.{module}conv.weight"] = torch.from_numpy(numbers["w"])[:, :, None, None]
    state[f"pool.{module}centroids"] = torch.from_numpy(numbers["c"])
    if bias:
        state[f"pool.{module}conv.bias"] = torch.from_numpy(numbers["s"])
    optimizer = {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    others = {"epoch": 3, "recalls": {1: np.float64(0.8)}, "best_score": np.float64(0.9), "parallel": bool(module)}
    torch.save({"state_dict": state, "optimizer": optimizer, **others}, path)
    return path


@pytest.mark.parametrize(("module", "bias"), [("", False), ("module.", True)])
def test_a_checkpoint_of_pytorch_netvlad_gives_the_slow_twins_descriptor(numbers, expected, tmp_path, module, bias):
    found = described(*load_netvlad(checkpoint(numbers, tmp_path / "checkpoint.pth.tar", module, bias)))
    np.testing.assert_allclose(found, expected[1 + bias], atol=1e-5)


def test_other_files_are_refused_by_name(matlab, tmp_path):
    cut = tmp_path / "cut.mat"
    cut.write_bytes(matlab.read_bytes()[:100_000])
    (tmp_path / "empty.mat").touch()
    scipy.io.savemat(tmp_path / "other.mat", {"net": {"layers": cell([{"name": "conv"}])}})
    torch.save({"state_dict": {"pool.conv.weight": torch.zeros(3, 512, 1, 1)}}, tmp_path / "a.tar")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "b.pth")
    for name in ("cut.mat", "empty.mat", "other.mat", "a.tar", "b.pth", "none.mat"):
        with pytest.raises(InputError, match=name):
            load_netvlad(tmp_path / name)


@pytest.mark.parametrize(
    ("end", "said"),
    [("import os; os.abort()", "its reader crashed"), ("bytes(1 << 50)", "MemoryError"), ("while True: pass", "0.5 s")],
)
def test_a_matlab_file_that_ends_its_reader_is_a_sentence(matlab, monkeypatch, end, said):
    monkeypatch.setattr(netvlad_weights, "READ", end)
    monkeypatch.setattr(netvlad_weights, "SECONDS", 0.5 if "while" in end else 60)
    with pytest.raises(InputError, match=f"no NetVLAD network as a plain struct .*{said}"):
        load_netvlad(matlab)


def test_component_takes_the_published_network(matlab, expected):
    whole = NetVlad(weights=str(matlab), precision="float32")
    assert whole.preflight() == []
    assert whole.files() == [str(matlab)]
    assert isinstance(whole.fit(None), NothingLearned)  # no photo is looked at
    found = whole.describe(photo(70, 67), NothingLearned())
    assert (found.shape, found.dtype) == ((OUT,), np.float32)
    few = dataclasses.replace(whole, dim=2).describe(photo(70, 67), NothingLearned())
    np.testing.assert_allclose(few, unit(found[:2]), atol=1e-6)


@pytest.fixture
def small(tmp_path):
    return NetVlad(backbone="small", weights=small_weights(tmp_path), precision="float32", num_words=4)


def test_without_a_trained_head_the_references_give_the_centres(small, tmp_path):
    photos = [photo(70 + i, 90, seed=i) for i in range(5)]
    learned = small.fit(photos)
    assert learned.centers.shape == learned.assignment.shape == (4, 64)
    np.testing.assert_array_equal(small.fit(photos).centers, learned.centers)
    network, head = small._networks()
    assert head is None
    maps = network(torch.tensor(photos[2]).permute(2, 0, 1)[None].float())[0].numpy().astype(float)
    expected = unit(slow_residuals(maps, learned.assignment, learned.centers).ravel())
    np.testing.assert_allclose(small.describe(photos[2], learned), expected, atol=1e-5)


def test_sharpness_is_the_rule_of_the_authors_code():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(4, 8)).astype(np.float32)
    vectors = np.array([unit(v) for v in rng.normal(size=(30, 8))], np.float32)
    gaps = []
    for v in vectors:
        best = sorted((float(v @ unit(c)) for c in centers), reverse=True)
        gaps.append(best[0] - best[1])
    found = sharpness(torch.from_numpy(vectors), torch.from_numpy(centers))
    assert found == pytest.approx(-np.log(0.01) / np.mean(gaps), rel=1e-4)


def test_the_references_teach_the_whitening_too(small):
    photos = [photo(70, 90, seed=i) for i in range(4)]
    whitening = dataclasses.replace(small, whitening=True)
    learned = whitening.fit(photos)
    assert learned.projection.shape == (3, 4 * 64)  # one less than photos
    vectors = np.stack([whitening.describe(p, learned) for p in photos])
    np.testing.assert_allclose(vectors @ vectors.T, (4 * np.eye(4) - 1) / 3, atol=1e-3)  # as far apart as can be
    assert dataclasses.replace(whitening, dim=2).fit(photos).projection.shape == (2, 256)
    assert "retrieval.whitening=true" in dataclasses.replace(small, dim=2).preflight()[0]


def test_few_photos_are_no_error(small):
    assert dataclasses.replace(small, whitening=True).fit([]).centers.shape == (0, 64)
    grey = np.full((5, 5, 3), 127, np.uint8)
    learned = dataclasses.replace(small, num_words=10_000).fit([grey])
    assert np.isfinite(small.describe(grey, learned)).all()
    with pytest.raises(ValueError, match="expected RGB"):
        small.describe(grey[:, :, 0], learned)
