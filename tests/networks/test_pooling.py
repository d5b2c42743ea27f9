"""Pooling against slow twins, written from the specification: loops over places, regions and channels."""

import math

import numpy as np
import pytest
import torch

from localize.networks.pooling import gem, over_scales, pooled, regions

SIZES = [(5, 5), (4, 9), (11, 4), (2, 3), (1, 1), (1, 4), (30, 40), (20, 64)]


def slow_unit(v):
    return v / (math.sqrt(sum(x * x for x in v)) + 1e-6)


def slow_gem(maps, power):
    power = np.broadcast_to(power, len(maps))
    out = []
    for channel, p in zip(maps, power, strict=True):
        values = [max(float(x), 1e-6) ** p for row in channel for x in row]
        out.append((sum(values) / len(values)) ** (1 / p))
    return np.array(out)


def slow_regions(H, W, L=3):
    """The grid by centres, as the reference code goes about it."""
    w = min(H, W)
    distances = [abs((w**2 - w * (max(H, W) - w) / (steps - 1)) / w**2 - 0.4) for steps in range(2, 8)]
    index = distances.index(min(distances)) + 1
    Wd, Hd = (index if H < W else 0), (index if H > W else 0)
    found = []
    for level in range(1, L + 1):
        s = math.floor(2 * w / (level + 1))
        s2 = math.floor(s / 2 - 1)
        b_w = (W - s) / (level + Wd - 1) if level + Wd > 1 else 0
        b_h = (H - s) / (level + Hd - 1) if level + Hd > 1 else 0
        for i in range(level + Hd):
            for j in range(level + Wd):
                if s:
                    found.append((math.floor(s2 + i * b_h + 1e-9) - s2, math.floor(s2 + j * b_w + 1e-9) - s2, s))
    return found


def slow_rmac(maps):
    total = slow_unit(maps.max((1, 2)))
    for top, left, side in slow_regions(*maps.shape[1:]):
        total = total + slow_unit(maps[:, top : top + side, left : left + side].max((1, 2)))
    return total


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_poolings_are_the_slow_ones(size):
    rng = np.random.default_rng(0)
    maps = np.maximum(rng.normal(size=(2, 6, *size)), 0).astype(np.float32)
    for name, slow in {
        "mac": lambda m: m.max((1, 2)),
        "spoc": lambda m: m.mean((1, 2)),
        "gem": lambda m: slow_gem(m, 3),
        "rmac": slow_rmac,
    }.items():
        expected = np.stack([slow_unit(slow(m)) for m in maps])
        np.testing.assert_allclose(pooled(torch.from_numpy(maps), name), expected, atol=1e-5, err_msg=name)
    powers = rng.uniform(1, 5, 6).astype(np.float32)
    expected = np.stack([slow_gem(m, powers) for m in maps])
    np.testing.assert_allclose(gem(torch.from_numpy(maps), torch.from_numpy(powers)), expected, rtol=1e-4, atol=1e-6)


def test_regions_are_the_ones_of_the_reference_code():
    for height in range(1, 40):
        for width in (height, 7, 23, 64):
            assert regions(height, width) == slow_regions(height, width), (height, width)
    assert regions(3, 3, 1) == [(0, 0, 3)]
    assert all(0 <= t <= 30 - s and 0 <= x <= 40 - s for t, x, s in regions(30, 40))


@pytest.mark.parametrize("power", [1.0, 3.0, np.linspace(1, 4, 5, dtype=np.float32)])
def test_scales_are_joined_as_the_slow_way(power):
    vectors = np.random.default_rng(1).uniform(size=(3, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    powers = np.broadcast_to(power, 5)
    mean = [(sum(float(v[c]) ** p for v in vectors) / 3) ** (1 / p) for c, p in enumerate(powers)]
    found = over_scales(torch.from_numpy(vectors), power if isinstance(power, float) else torch.from_numpy(power))
    np.testing.assert_allclose(found, slow_unit(np.array(mean)), atol=1e-5)
