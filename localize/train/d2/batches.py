"""The batch of a step of D2's training: pairs of crops from several sources, and their corresponding cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from localize.train.d2.pairs import TrainingPair, matching_cells
from localize.types import InputError

TRIES = 50  # pairs drawn in vain before the data are said to be of no use


class PairSource(Protocol):
    """Where pairs come from; `size` is the side of their crops in px."""

    size: int

    def pair(self, rng: np.random.Generator) -> TrainingPair | None:
        """One pair, None if this draw gave none."""


@dataclass(frozen=True, eq=False)
class D2Batch:
    """Images (2 P, 3, S, S) float32, first and then second ones, and the corresponding cells (2, M) of each pair."""

    images: torch.Tensor
    matches: list[torch.Tensor]
    step: int


class D2Batches:
    """The batch of a step: pairs of one source after the other, everything a function of seed and step."""

    def __init__(
        self,
        sources: Sequence[PairSource],
        shares: Sequence[float],
        network: nn.Module,
        *,
        pairs_per_step: int = 1,
        min_matches: int = 128,
        max_matches: int | None = None,
        seed: int = 0,
    ):
        """shares: how often each source is drawn, in any unit; pairs with fewer than `min_matches` corresponding cells
        are drawn again, of more than `max_matches` that many are taken at random."""
        self.sources, self.shares = sources, np.array(shares, float) / sum(shares)
        self.stride, self.offset = network.stride, network.offset
        self.pairs_per_step, self.seed = pairs_per_step, seed
        self.min_matches, self.max_matches = min_matches, max_matches

    def __call__(self, step: int, device: str = "cpu") -> D2Batch:
        """InputError if the sources give no pair that can be used."""
        drawn = [self._drawn(np.random.default_rng([self.seed, step, k])) for k in range(self.pairs_per_step)]
        images = np.stack([p.first for p, _ in drawn] + [p.second for p, _ in drawn]).transpose(0, 3, 1, 2)
        images = torch.from_numpy(images).to(device).float()
        return D2Batch(
            images.contiguous(memory_format=torch.channels_last),
            [torch.from_numpy(matches).to(device) for _, matches in drawn],
            step,
        )

    def _drawn(self, rng: np.random.Generator) -> tuple[TrainingPair, np.ndarray]:
        for _ in range(TRIES):
            pair = self.sources[rng.choice(len(self.sources), p=self.shares)].pair(rng)
            if pair is None:
                continue
            matches = matching_cells(pair, self.stride, self.offset)
            if matches.shape[1] >= self.min_matches:
                some = rng.permutation(matches.shape[1])[: self.max_matches]
                return pair, matches[:, np.sort(some)]
        raise InputError(
            f"{TRIES} pairs in a row had fewer than {self.min_matches} corresponding cells or photos smaller than a "
            "crop: give other photos, or a smaller pipeline.data.min_matches or pipeline.data.size"
        )
