"""What CRBNet is trained on: batches of matching pairs of patches."""

import numpy as np
import torch

from localize.kernels.splitmix64 import GAMMA, mixed
from localize.train.crbnet.augment import changed_light, turned
from localize.train.loop.training_loop import step_seed
from localize.train.patches.sets import PatchSet
from localize.types import InputError


class PatchPairs:
    """Which two patches of which points make a batch: HyNet's sampling (Tian et al., NeurIPS 2020) without a memory.

    All points take turns in random order, once per cycle, so none is twice in a batch. The patches of a point are used
    up, two per cycle, in random order, before any comes again. Everything is a function of seed and step.
    """

    def __init__(self, points: np.ndarray, pairs_per_batch: int, seed: int):
        """points (N,) int64: the point of each patch. InputError if fewer than `pairs_per_batch` have two patches."""
        order = np.argsort(points, kind="stable")
        _, first, count = np.unique(points[order], return_index=True, return_counts=True)
        self.rows, self.first, self.count = order, first[count >= 2], count[count >= 2]
        if len(self.first) < pairs_per_batch:
            raise InputError(
                f"{len(self.first)} points have two patches or more, but a batch has {pairs_per_batch} pairs of "
                "different points: give more patches or a smaller pipeline.data.pairs_per_batch"
            )
        self.pairs_per_batch, self.seed = pairs_per_batch, seed

    def __call__(self, step: int) -> np.ndarray:
        """Rows (2, pairs) int64 of the patches of a step: those above each other show the same point."""
        cycle, at = divmod(step, len(self.first) // self.pairs_per_batch)
        turn = np.random.default_rng([self.seed, cycle]).permutation(len(self.first))
        chosen = turn[at * self.pairs_per_batch :][: self.pairs_per_batch]
        first, count = self.first[chosen], self.count[chosen]
        fill, pair = divmod(cycle, count // 2)  # how often the point's patches were all used, and how many of them now
        which = np.repeat(np.arange(len(chosen)), count)
        start = np.cumsum(count) - count
        rows = first[which] + np.arange(len(which)) - start[which]
        drawn = np.lexsort((_random_bits(self.seed, rows, fill[which]), which))
        return self.rows[rows[drawn[np.stack([start + 2 * pair, start + 2 * pair + 1])]]]


class PairBatches:
    """The batch of a step as a tensor: first patches, then the second ones in the same order."""

    def __init__(
        self, patches: PatchSet, pairs_per_batch: int, *, turn: bool = True, augment: float = 0.5, seed: int = 0
    ):
        """patches of 32 px; turn: by one of the eight symmetries of the square, both of a pair by the same;
        augment: share of the patches that get other light, blur and noise."""
        self.pairs = PatchPairs(patches.points, pairs_per_batch, seed)
        self.pool = torch.from_numpy(np.ascontiguousarray(patches.patches))
        self.turn, self.augment, self.seed = turn, augment, seed

    def __call__(self, step: int, device: str = "cpu") -> torch.Tensor:
        """(2 pairs, 1, 32, 32) float32 grey values."""
        if self.pool.device.type != device:
            self.pool = self.pool.to(device)
        random = torch.Generator(device).manual_seed(step_seed(self.seed, step, 1))  # not that of dropout
        rows = torch.from_numpy(self.pairs(step).reshape(-1)).to(device)
        batch = self.pool[rows].float()
        if self.turn:
            how = torch.randint(8, (len(batch) // 2,), generator=random, device=device)
            batch = turned(batch, how.repeat(2))
        if self.augment:
            batch = changed_light(batch, self.augment, random)
        return batch[:, None]


def _random_bits(seed: int, rows: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """A random number (N,) uint64 for each row and fill."""
    bits = np.full(len(rows), seed, np.uint64)
    for values in (rows, fill):
        bits = mixed((bits ^ values.astype(np.uint64)) * GAMMA + GAMMA)
    return bits
