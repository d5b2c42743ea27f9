"""D2-Net as a feature: the authors' checkpoints, where a cell looks, photos of all kinds, weights refused."""

import dataclasses

import numpy as np
import PIL.Image
import pytest
import torch
from scipy.spatial import cKDTree
from torch import nn

from localize.features.d2net import D2Net, D2NetMultiscale, shrunk
from localize.networks.d2 import BACKBONES, D2VGG16, d2_network
from localize.networks.vgg import VGG16
from localize.types import InputError
from tests.contracts.test_features import blobs
from tests.networks.test_d2 import noise, slow_find


def random_weights(network: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> str:
    """A checkpoint as the authors published theirs, with random weights."""
    path = tmp_path_factory.mktemp("d2") / "d2.pth"
    state = random_weights(D2VGG16()).state_dict()
    torch.save({"model": {n: t.half() for n, t in state.items()}, "epoch_idx": 3}, path)
    return str(path)


SHAPES = [(64, 3), (64, 64), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (512, 256), (512, 512)]
NUMBERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)


def slow_vgg(state: dict, images: torch.Tensor) -> torch.Tensor:
    """Table 4.1, layer by layer."""
    x = images.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    for i in NUMBERS:
        weight, bias = (state[f"dense_feature_extraction.model.{i}.{p}"].float() for p in ("weight", "bias"))
        if i in (5, 10):
            x = nn.functional.max_pool2d(x, 2, 2)
        if i == 17:
            x = (x[:, :, :-1, :-1] + x[:, :, 1:, :-1] + x[:, :, :-1, 1:] + x[:, :, 1:, 1:]) / 4
        wide = 2 if i >= 17 else 1
        x = nn.functional.conv2d(x, weight, bias, padding=wide, dilation=wide).relu()
    return x


@pytest.mark.parametrize("center_fix", [False, True])
@pytest.mark.parametrize("cls", [D2Net, D2NetMultiscale])
def test_the_authors_checkpoint_gives_the_slow_keypoints(official, cls, center_fix):
    state = torch.load(official, weights_only=True)["model"]
    names = [f"dense_feature_extraction.model.{i}.{part}" for i in NUMBERS for part in ("weight", "bias")]
    shapes = [shape for o, c in [*SHAPES, (512, 512)] for shape in ((o, c, 3, 3), (o,))]
    assert {n: tuple(t.shape) for n, t in state.items()} == dict(zip(names, shapes, strict=True))
    photo = noise(48, 64)
    found = cls(weights=official, center_fix=center_fix).extract(photo)
    slow = slow_find(lambda x: slow_vgg(state, x), photo, cls().scales, center_fix)
    assert len(found) == len(slow) > 5
    np.testing.assert_allclose(found.keypoints, [(s[0] + 0.5, s[1] + 0.5) for s in slow], atol=1e-3)
    np.testing.assert_allclose(found.scales, [4 * s[2] for s in slow])
    np.testing.assert_allclose(found.scores, [s[3] for s in slow], rtol=1e-5)
    np.testing.assert_allclose(found.descriptors.astype(float), [s[4] for s in slow], atol=1e-5 + 2.0**-12)
    np.testing.assert_allclose(np.linalg.norm(found.descriptors.astype(float), axis=1), 1, atol=2e-3)


def test_center_fix_is_where_a_cell_looks():
    """The middle of what a cell sees, where all weights are alike, is the pixel that the keypoint gets."""
    network = D2VGG16(center_fix=True)
    layers = network.dense_feature_extraction["model"]
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            layers[i] = nn.Conv2d(3 if i == 0 else 1, 1, 3, padding=layer.padding, dilation=layer.dilation)
            nn.init.constant_(layers[i].weight, 0.1)
            nn.init.constant_(layers[i].bias, 1000.0)
        if isinstance(layer, nn.MaxPool2d):  # of equal values it sees the first one only
            layers[i] = nn.AvgPool2d(2, 2)
    pixels = torch.full((1, 3, 120, 130), 200.0, requires_grad=True)
    network(pixels)[0, 0, 13, 15].backward()
    seen = pixels.grad[0].abs().sum(0).double()
    rows, columns = torch.nonzero(seen.sum(1)).ravel(), torch.nonzero(seen.sum(0)).ravel()
    for cell, at, shares in ((13, rows, seen.sum(1)), (15, columns, seen.sum(0))):
        pixel = 4 * cell + 3.5
        assert float((shares[at] * at).sum() / shares.sum()) == pytest.approx(pixel, abs=1e-3)
        assert pixel - network.reach_px < at.min() < at.max() < pixel + network.reach_px
    assert network.offset == D2VGG16().offset + 2


@pytest.mark.parametrize("backbone", BACKBONES)
def test_photos_of_all_kinds(official, backbone, tmp_path):
    path = official
    if backbone == "small":
        torch.manual_seed(0)
        path = tmp_path / "small.pth"
        torch.save(d2_network("small").state_dict(), path)
    if backbone == "resnet50v2":
        path = tmp_path / "resnet.pth"
        torch.save(as_gluon(), path)
    feature = D2Net(backbone=backbone, weights=str(path), stage=1)
    assert feature.preflight() == []
    grey = blobs(80, 100)
    found = feature.extract(grey)
    colour = feature.extract(np.repeat(grey[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(found.keypoints, colour.keypoints)
    assert len(found) > 10
    assert ((found.keypoints >= 0) & (found.keypoints <= (100, 80))).all()
    best = dataclasses.replace(feature, max_keypoints=5).extract(grey)
    np.testing.assert_array_equal(np.sort(best.scores), np.sort(found.scores)[-5:])
    twice = dataclasses.replace(feature, max_edge_px=50).extract(grey)
    assert twice.scales.tolist() == [2 * found.scales[0]] * len(twice)
    assert twice.keypoints.max() > 50
    short = dataclasses.replace(feature, precision="bfloat16").extract(grey)
    assert np.mean(cKDTree(short.keypoints).query(found.keypoints)[0] < 1) > 0.6  # not the same, but near
    assert not np.array_equal(short.keypoints, found.keypoints)
    multiscale = dataclasses.replace(feature, scales=[0.5, 1])
    for tiny in (noise(1, 1), noise(7, 90), noise(8, 8), noise(12, 9), np.zeros((40, 40, 3), np.uint8)):
        nothing = multiscale.extract(tiny)
        assert nothing.descriptors.shape == (len(nothing), found.descriptors.shape[1])
    assert len(multiscale.extract(noise(7, 90))) == 0
    with pytest.raises(ValueError, match="D2-Net takes colours"):
        feature.extract(np.zeros((20, 20, 4), np.uint8))


def as_gluon() -> dict:
    """Random weights of the first stage under GluonCV's names."""
    torch.manual_seed(0)
    network = d2_network("resnet50v2", stage=1)
    tensors = {"conv0_weight": network.conv0.weight}

    def put(name, norm):
        parts = ("weight", "gamma"), ("bias", "beta"), ("running_mean", "running_mean"), ("running_var", "running_var")
        tensors.update({f"{name}_{theirs}": getattr(norm, ours) for ours, theirs in parts})

    for name, norm in (("batchnorm0", network.batchnorm0), ("batchnorm1", network.batchnorm1)):
        put(name, norm)
    put("stage2_batchnorm0", network.last)
    convs = [c for unit in network.stages[0] for c in (*unit.convs, unit.shortcut) if c is not None]
    tensors |= {f"stage1_conv{i}_weight": conv.weight for i, conv in enumerate(convs)}
    for i, norm in enumerate(n for unit in network.stages[0] for n in unit.norms):
        put(f"stage1_batchnorm{i}", norm)
    return {n: t.detach() for n, t in tensors.items()}


def test_photos_are_shrunk_by_both_rules():
    photo = noise(1500, 2000)
    once = PIL.Image.fromarray(photo).resize((1600, 1200), PIL.Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(shrunk(photo, 1600, 2800), once)
    assert shrunk(photo, 1600, 2700).shape == (1157, 1542, 3)
    assert shrunk(photo, 2000, 3500) is photo


def test_weights_of_vgg16_load_too_and_others_are_refused(official, tmp_path):
    torch.manual_seed(0)
    vgg = VGG16(pools=4)
    torch.save(vgg.state_dict(), tmp_path / "vgg.pth")
    photo = noise(40, 40)
    feature = D2Net(weights=str(tmp_path / "vgg.pth"))
    state = {
        f"dense_feature_extraction.model.{n[9:]}": t for n, t in vgg.state_dict().items() if int(n.split(".")[1]) < 22
    }
    torch.save({"model": state}, tmp_path / "same.pth")
    same = D2Net(weights=str(tmp_path / "same.pth"))
    np.testing.assert_array_equal(feature.extract(photo).descriptors, same.extract(photo).descriptors)
    state["dense_feature_extraction.model.19.weight"] = torch.zeros(3)
    torch.save({"model": state}, tmp_path / "cut.pth")
    for backbone, weights, sentence in (
        ("vgg16", tmp_path / "cut.pth", r"holds other tensors \(.*model\.19\.weight\)"),
        ("resnet50v2", official, "is not of backbone resnet50v2"),
        ("small", official, r"holds other tensors \(trunk"),
    ):
        (problem,) = D2Net(backbone=backbone, weights=str(weights)).preflight()
        with pytest.raises(InputError, match=sentence):
            raise InputError(problem)
    with pytest.raises(InputError, match=r"D2Net\.scales is"):
        D2Net(scales=(0.0,))
