"""What CRBNet is trained on and judged by: pairs of patches, batches of them, FPR95."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from localize.train.crbnet.batches import PairBatches, PatchPairs
from localize.train.crbnet.verification import PatchVerification
from localize.train.loop.machine import Machine
from localize.train.patches.sets import PatchSet
from localize.types import InputError


def test_pairs_are_of_unique_points_and_use_every_patch_once():
    count = np.random.default_rng(0).integers(1, 8, 90)
    points = np.random.default_rng(1).permutation(np.repeat(np.arange(90) * 7, count))
    pairs = PatchPairs(points, 10, seed=5)
    num_points = int((count >= 2).sum())
    per_cycle = num_points // 10
    times = np.zeros(len(points), int)
    seen = []
    for step in range(6 * per_cycle):
        first, second = pairs(step)
        assert (points[first] == points[second]).all()
        assert (first != second).all()
        assert len(set(points[first])) == 10
        times[np.concatenate([first, second])] += 1
        seen.append(points[first])
    assert np.array_equal(pairs(3), PatchPairs(points, 10, seed=5)(3))
    assert not np.array_equal(pairs(3), PatchPairs(points, 10, seed=6)(3))
    for cycle in range(6):  # nobody comes twice in a cycle
        whole = np.concatenate(seen[cycle * per_cycle :][:per_cycle])
        assert len(set(whole)) == len(whole) == 10 * per_cycle
    six = np.isin(points, 7 * np.flatnonzero(np.isin(count, (6, 7))))  # three pairs: six cycles use them up twice
    assert times[six].max() == 2
    assert times[~np.isin(points, 7 * np.flatnonzero(count >= 2))].max() == 0
    with pytest.raises(InputError, match=f"{num_points} points have two patches or more, but a batch has 91 pairs"):
        PatchPairs(points, 91, seed=5)


def test_batches_are_turned_alike_and_lit_differently():
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.normal(size=(40, 32, 32)), (0, 1, 1))
    texture = (128 + 100 * texture / np.abs(texture).max()).astype(np.uint8)
    patches = PatchSet(np.concatenate([texture, texture]), np.tile(np.arange(40), 2))
    plain = PairBatches(patches, 20, turn=False, augment=0)(0)
    assert plain.shape == (40, 1, 32, 32)
    assert torch.equal(plain[:20], plain[20:])
    batches = PairBatches(patches, 20, augment=0)
    turned = batches(0)
    assert torch.equal(turned, batches(0))
    assert torch.equal(turned[:20], turned[20:])
    ways = {tuple(np.rot90(flip, k)[0]) for k in range(4) for flip in (plain[0, 0].numpy(), plain[0, 0].numpy().T)}
    assert tuple(turned[0, 0, 0].tolist()) in ways
    same = sum(torch.equal(a, b) for a, b in zip(plain, turned, strict=True))
    assert same < 16  # one in eight
    lit = PairBatches(patches, 20, turn=False, augment=0.5)(0)
    changed = (lit != plain).flatten(1).any(1)
    assert 8 < changed.sum() < 32
    assert (changed[:20] != changed[20:]).any()
    a, b = (x[changed, 0].flatten(1) for x in (lit, plain))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    assert ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).min() > 0.5  # still the same patch


def test_verification_of_a_network_that_sees_the_first_pixels():
    """The descriptors are five pixels, which number the point in binary."""
    points = np.arange(40) // 2
    patches = np.zeros((40, 32, 32), np.uint8)
    patches[:, 0, :5] = (points[:, None] >> np.arange(5) & 1) * 200 + 20
    patches[1::2, 0, :5] += 1  # same bits, other values

    class Bits(torch.nn.Module):
        def forward(self, batch):
            return batch[:, 0, 0, :5] - 100

    machine = Machine("cpu", "float32")
    assert PatchVerification([PatchSet(patches, points)])(Bits(), machine) == {"fpr95_real": 0, "fpr95_binary": 0}
    patches[:, 0, 1:5] = 0  # one bit left: half of the negatives look like positives
    found = PatchVerification([PatchSet(patches, points)] * 2)(Bits(), machine)
    assert found["fpr95_real"] == found["fpr95_binary"]
    assert 30 < found["fpr95_real"] < 70
    with pytest.raises(InputError, match="no pairs"):
        PatchVerification([PatchSet(patches[:2], points[:2])])
