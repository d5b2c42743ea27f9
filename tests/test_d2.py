"""D2-Net: the head and the pyramid against a slow twin, the authors' network, tiles, photos of all kinds."""

import dataclasses
import itertools
import math

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from localize.features.d2net import D2Net, D2NetMultiscale, shrunk
from localize.networks.d2 import BACKBONES, D2VGG16, d2_network
from localize.networks.d2_detect import detect, localise
from localize.networks.d2_pyramid import find, in_tiles
from localize.networks.vgg import VGG16
from localize.types import InputError

from .test_components import blobs


class Tiny(nn.Module):
    """A few channels at 4 px a cell, negative values where there is no ReLU."""

    channels, stride, offset, reach_px = 6, 4, 1.5, 16

    def __init__(self, relu: bool = True):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Tanh(), nn.Conv2d(8, self.channels, 3, padding=1))
        self.relu = relu

    def forward(self, images):
        x = self.body(images / 64 - 2)
        return torch.relu(x) if self.relu else x


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_image(photo: np.ndarray) -> torch.Tensor:
    return torch.tensor(photo).permute(2, 0, 1).float()


# The slow twin: algorithms.md 4.2 to 4.4, one value at a time in double precision.


def slow_resize(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear, corners on corners."""

    def weights(into: int, out: int) -> np.ndarray:
        matrix = np.zeros((out, into))
        for i in range(out):
            at = i * (into - 1) / (out - 1) if out > 1 else 0.0
            for j in {math.floor(at), math.ceil(at)}:
                matrix[i, j] = 1 - abs(at - j)
        return matrix

    return weights(maps.shape[1], height) @ maps @ weights(maps.shape[2], width).T


def slow_bilinear(maps: np.ndarray, y: float, x: float) -> np.ndarray:
    total = np.zeros(len(maps))
    for i, j in itertools.product({math.floor(y), math.ceil(y)}, {math.floor(x), math.ceil(x)}):
        i, j = min(i, maps.shape[1] - 1), min(j, maps.shape[2] - 1)
        total += (1 - abs(y - i)) * (1 - abs(x - j)) * maps[:, i, j]
    return total


def slow_detections(maps: np.ndarray, threshold: float = 5.0) -> list[tuple[int, int, int]]:
    """(channel, row, column) of all that pass the three tests."""
    found = []
    best = maps.max(0)
    for k, i, j in np.argwhere(maps == best).tolist():
        if maps[k, i, j] != maps[k, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].max():
            continue
        (dii, djj, dij), _ = slow_derivatives(maps[k], i, j)
        det = dii * djj - dij**2
        if det > 0 and (dii + djj) ** 2 / det <= (threshold + 1) ** 2 / threshold:
            found.append((k, i, j))
    return found


def slow_derivatives(channel: np.ndarray, i: int, j: int):
    def at(y, x):
        return float(channel[y, x]) if 0 <= y < channel.shape[0] and 0 <= x < channel.shape[1] else 0.0

    dii = at(i - 1, j) - 2 * at(i, j) + at(i + 1, j)
    djj = at(i, j - 1) - 2 * at(i, j) + at(i, j + 1)
    dij = 0.25 * (at(i - 1, j - 1) - at(i - 1, j + 1) - at(i + 1, j - 1) + at(i + 1, j + 1))
    return (dii, djj, dij), (0.5 * (at(i + 1, j) - at(i - 1, j)), 0.5 * (at(i, j + 1) - at(i, j - 1)))


def slow_find(network, photo: np.ndarray, scales, center_fix: bool = False) -> list[tuple]:
    """(x, y, 1 / scale, score, descriptor, level) of all keypoints; x and y from the first pixel's centre."""
    pixels = photo.astype(float).transpose(2, 0, 1)
    summed, banned, found = None, None, []
    for level, scale in enumerate(scales):
        height, width = int(pixels.shape[1] * scale), int(pixels.shape[2] * scale)
        resized = torch.tensor(slow_resize(pixels, height, width), dtype=torch.float32)
        with torch.no_grad():
            maps = network(resized[None])[0].double().numpy()
        h, w = maps.shape[1:]
        if summed is not None:
            maps = maps + slow_resize(summed, h, w)
        summed = maps
        before = np.zeros((h, w), bool)
        if banned is not None:
            for i, j in np.ndindex(h, w):
                before[i, j] = banned[i * banned.shape[0] // h, j * banned.shape[1] // w]
        banned = before.copy()
        for k, i, j in slow_detections(maps):
            banned[i, j] = True
            if before[i, j]:
                continue
            (dii, djj, dij), (di, dj) = slow_derivatives(maps[k], i, j)
            det = dii * djj - dij**2
            down, across = -(djj * di - dij * dj) / det, -(-dij * di + dii * dj) / det
            y, x = i + down, j + across
            if max(abs(down), abs(across)) >= 0.5 or y < 0 or x < 0 or math.ceil(y) >= h or math.ceil(x) >= w:
                continue
            descriptor = slow_bilinear(maps, y, x)
            for _ in range(2):
                x, y = 2 * x + 0.5, 2 * y + 0.5
            ratio_x, ratio_y = pixels.shape[2] / width, pixels.shape[1] / height
            if center_fix:
                x, y = x + 2, y + 2
                ratio_x, ratio_y = (pixels.shape[2] - 1) / (width - 1), (pixels.shape[1] - 1) / (height - 1)
            score = maps[k, i, j] / (level + 1)
            found.append((x * ratio_x, y * ratio_y, 1 / scale, score, descriptor / np.linalg.norm(descriptor), level))
    return found


def check_equal(found, slow) -> None:
    assert len(found.xy_px) == len(slow) > 0
    np.testing.assert_allclose(found.xy_px.numpy(), [s[:2] for s in slow], atol=1e-3)
    np.testing.assert_allclose(found.scales.numpy(), [s[2] for s in slow])
    np.testing.assert_allclose(found.scores.numpy(), [s[3] for s in slow], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.descriptors.numpy(), [s[4] for s in slow], atol=1e-5)


@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 2.0)], ids=str)
@pytest.mark.parametrize("relu", [True, False])
def test_keypoints_are_the_slow_ones(scales, relu):
    network, photo = Tiny(relu), noise(64, 83)
    slow = slow_find(network, photo, scales)
    assert len({s[5] for s in slow}) == len(scales)
    check_equal(find(network, as_image(photo), scales, exact=False), slow)


def test_ties_are_all_detections_and_the_border_ends_in_zeros():
    rng = np.random.default_rng(1)
    for offset in (0, -4):  # whole numbers: many equal values; below zero the edge of the map is the highest
        maps = torch.tensor(rng.integers(0, 6, (4, 14, 17)) + offset, dtype=torch.float32)
        found = [tuple(cell) for cell in detect(maps).tolist()]
        assert found == slow_detections(maps.numpy())
        assert len({cell[1:] for cell in found}) < len(found)  # one cell, two channels
        assert any(0 in cell[1:] for cell in found)
    assert not len(detect(torch.zeros(512, 20, 20)))


def test_a_step_of_half_a_cell_is_dropped_not_moved():
    maps = torch.zeros(2, 9, 9)
    maps[0, 4, 3:6] = torch.tensor([5.0, 9.0, 9.0])  # (4, 4) and (4, 5) tie: both half a cell from the maximum
    maps[0, 3:6, 4] = torch.tensor([5.0, 9.0, 6.0])
    cells = detect(maps)
    positions, holds = localise(maps, cells)
    assert cells.tolist() == [[0, 4, 4], [0, 4, 5]] or cells.tolist() == [[0, 4, 4]]
    assert not holds[0]
    maps[0, 4, 5] = 8.5
    positions, holds = localise(maps, detect(maps))
    assert holds.tolist() == [True]
    assert 4.3 < positions[0, 1] < 4.5


class Given(nn.Module):
    """A map by the size of the image."""

    channels, stride, offset, reach_px = 2, 4, 1.5, 8

    def __init__(self, maps: dict):
        super().__init__()
        self.maps = maps

    def forward(self, images):
        return self.maps[tuple(images.shape[2:])].clone()[None]


def test_a_level_without_keypoints_hands_its_map_over_and_a_cell_fires_once():
    roof, peak = torch.zeros(2, 10, 10), torch.zeros(2, 20, 20)
    roof[0, 4] = torch.tensor([0.0, 1, 2, 3, 3, 3, 3, 2, 1, 0])  # all edge
    peak[0, 9, 12] = 4.0
    photo = np.zeros((80, 80, 3), np.uint8)
    network = Given({(40, 40): roof, (80, 80): peak})
    found = find(network, as_image(photo), (0.5, 1.0), exact=False)
    check_equal(found, slow_find(network, photo, (0.5, 1.0)))
    assert found.scales.tolist() == [1.0]
    assert found.scores.tolist() == [pytest.approx((4 + 3 * 14 / 19) / 2)]
    first = torch.zeros(2, 10, 10)
    first[0, 4, 6] = 5.0  # fires, so the peak of the next level, at the same place, does not
    found = find(Given({(40, 40): first, (80, 80): peak}), as_image(photo), (0.5, 1.0), exact=False)
    assert found.scales.tolist() == [2.0]


def test_tiles_are_the_whole():
    torch.manual_seed(0)
    image = as_image(noise(215, 21))
    for network in (Tiny(), d2_network("small"), d2_network("resnet50v2", stage=1)):
        with torch.no_grad():
            whole, tiles = network.eval()(image[None])[0], in_tiles(network, image, tile_px=1)
        torch.testing.assert_close(tiles, whole, atol=1e-5 * float(whole.abs().max()), rtol=0)


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
        ("vgg16", tmp_path / "cut.pth", r"model\.19\.weight of shape \(512, 512, 3, 3\), but has one of shape \(3,\)"),
        ("resnet50v2", official, "is not of backbone resnet50v2"),
        ("small", official, "is not of backbone small: it needs trunk"),
    ):
        (problem,) = D2Net(backbone=backbone, weights=str(weights)).preflight()
        with pytest.raises(InputError, match=sentence):
            raise InputError(problem)
    with pytest.raises(InputError, match=r"D2Net\.scales is"):
        D2Net(scales=(0.0,))
