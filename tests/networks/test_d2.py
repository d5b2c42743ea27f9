"""Describe-and-detect: the head on any map and the pyramid against a slow twin, ties, gating, tiles."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from localize.networks.d2 import d2_network
from localize.networks.d2_detect import detect, localise
from localize.networks.d2_pyramid import find, in_tiles


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
    maps[0, 3:6, 4] = torch.tensor([5.0, 9.0, 5.0])
    maps[0, 4, 3:6] = torch.tensor([5.0, 9.0, 9.0])  # two alike: each half a cell from the maximum between them
    cells = detect(maps)
    assert cells.tolist() == [[0, 4, 4], [0, 4, 5]]
    assert localise(maps, cells)[1].tolist() == [False, False]
    maps[0, 4, 5] = 8.5
    positions, holds = localise(maps, detect(maps))
    assert holds.tolist() == [True]
    np.testing.assert_allclose(positions, [[4, 4 + 1.75 / 4.5]])


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
