"""What CRBNet is judged by: FPR95 on pairs of patches that nothing is learned from."""

import numpy as np
import torch
from torch import nn

from localize.evaluate.patches.fpr95 import fpr95
from localize.io.benchmarks.phototour import draw_pairs
from localize.train.loop.machine import Machine
from localize.train.patches.sets import PatchSet
from localize.types import InputError

DESCRIBED_AT_ONCE = 1024  # patches


class PatchVerification:
    """FPR95 of a network, real-valued and by its bits, on fixed random pairs of patches."""

    def __init__(self, sets: list[PatchSet], num: int = 10_000, seed: int = 0):
        """num: matching pairs and other pairs, of all sets together, or as many as there are; negatives are drawn
        within a set."""
        self.parts = [_Part(patches, -(-num // len(sets)), seed) for patches in sets]

    def __call__(self, module: nn.Module, machine: Machine) -> dict[str, float]:
        """The means over the sets, in percent."""
        found = [part(module, machine.device) for part in self.parts]
        real, binary = np.mean(found, axis=0)
        return {"fpr95_real": float(real), "fpr95_binary": float(binary)}


class _Part:
    """The pairs of one set."""

    def __init__(self, patches: PatchSet, num: int, seed: int):
        count = np.unique(patches.points, return_counts=True)[1].astype(np.int64)
        matching = int((count * (count - 1) // 2).sum())
        num = min(num, matching, len(patches) * (len(patches) - 1) // 2 - matching)
        if not num:
            raise InputError("the validation patches make no pairs of one point and of two: give more of them")
        first, second, self.same = draw_pairs(patches.points, num, seed)
        used, which = np.unique(np.concatenate([first, second]), return_inverse=True)
        self.first, self.second = which.reshape(2, -1)
        self.patches = torch.from_numpy(patches.patches[used])

    def __call__(self, module: nn.Module, device: str) -> tuple[float, float]:
        batches = self.patches[:, None].split(DESCRIBED_AT_ONCE)
        described = torch.cat([module(b.to(device).float()).float() for b in batches])
        a, b = described[self.first], described[self.second]
        return self._fpr95((a - b).norm(dim=1)), self._fpr95(((a > 0) != (b > 0)).sum(1))

    def _fpr95(self, distance: torch.Tensor) -> float:
        distance = distance.cpu().numpy()
        return fpr95(distance[self.same], distance[~self.same])
