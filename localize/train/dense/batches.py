"""The batch of a step: pairs of crops from several sources, as the network and the loss want them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from localize.train.dense.views import DensePair, DenseSource, Exact
from localize.types import InputError

TRIES = 50  # pairs drawn in vain before the data are said to be of no use


@dataclass(frozen=True, eq=False)
class DenseBatch:
    """Pairs of crops: first all first ones, then all second ones."""

    images: torch.Tensor  # (2 P, 1, S, S) float32, 0 to 255
    places: list[torch.Tensor]  # (N_i, 2) of each crop; those of the first and the second of a pair correspond
    taught: torch.Tensor  # (N, D) float32 the teacher's descriptors of the points, N = sum of N_i over the pairs;
    is_taught: torch.Tensor  # (N,) bool: zeros where there is none
    keypoints: torch.Tensor  # (2 P, S, S) float32: share of a keypoint that each pixel has; -1 where nothing is known
    exact: torch.Tensor  # (N, 2) px of the second crop, see `views.Exact`; NaN where it is not known
    moves: torch.Tensor  # (N, 2, 2)


class DenseBatches:
    """The batch of a step, everything a function of seed and step; the next one is made while the network learns."""

    def __init__(
        self,
        sources: Sequence[DenseSource],
        shares: Sequence[float],
        dim: int,
        *,
        pairs_per_step: int,
        min_points: int,
        seed: int,
    ):
        """shares: how often each source is drawn, in any unit; dim: of the teacher's descriptors."""
        self.sources, self.shares, self.dim = sources, np.array(shares, float) / sum(shares), dim
        self.pairs_per_step, self.min_points, self.seed = pairs_per_step, min_points, seed
        self._pool, self._ahead = ThreadPoolExecutor(1), {}

    def __call__(self, step: int, device: str = "cpu") -> DenseBatch:
        """InputError if the sources give no pair that can be used."""
        found = self._ahead.pop(step, None)
        batch = found.result() if found else self._made(step)
        self._ahead = {step + 1: self._pool.submit(self._made, step + 1)}
        moved = {name: part.to(device) for name, part in vars(batch).items() if name != "places"}
        return DenseBatch(places=[p.to(device) for p in batch.places], **moved)

    def _made(self, step: int) -> DenseBatch:
        pairs = [self._drawn(np.random.default_rng([self.seed, step, k])) for k in range(self.pairs_per_step)]
        images = np.stack([p.first for p in pairs] + [p.second for p in pairs])[:, None]
        taught = [np.zeros((len(p.places[0]), self.dim)) if p.taught is None else p.taught for p in pairs]
        is_taught = np.repeat([p.taught is not None for p in pairs], [len(p.places[0]) for p in pairs])
        targets = np.stack([_shares(p, side) for side in (0, 1) for p in pairs])
        exact = [_exact(p) for p in pairs]
        return DenseBatch(
            torch.from_numpy(images).float(),
            [torch.from_numpy(p.places[side]) for side in (0, 1) for p in pairs],
            torch.from_numpy(np.concatenate(taught).astype(np.float32)),
            torch.from_numpy(is_taught),
            torch.from_numpy(targets),
            torch.from_numpy(np.concatenate([e.places for e in exact])),
            torch.from_numpy(np.concatenate([e.moves for e in exact])),
        )

    def _drawn(self, rng: np.random.Generator) -> DensePair:
        for _ in range(TRIES):
            pair = self.sources[rng.choice(len(self.sources), p=self.shares)].pair(rng)
            if pair is not None and len(pair.places[0]) >= self.min_points:
                return pair
        raise InputError(
            f"{TRIES} pairs in a row had fewer than {self.min_points} corresponding places: give other photos, a "
            "teacher that finds more keypoints, or a smaller pipeline.data.min_points"
        )


def _exact(pair: DensePair) -> Exact:
    unknown = np.full_like(pair.places[0], np.nan)
    return pair.exact or Exact(unknown, np.repeat(unknown[:, :, None], 2, axis=2))


def _shares(pair: DensePair, side: int) -> np.ndarray:
    """(S, S) float32: each keypoint shared out among the four pixels around it, so that its place is their mean."""
    size = pair.first.shape[0]
    if pair.keypoints is None:
        return np.full((size, size), -1, np.float32)
    target = np.zeros((size + 1, size + 1), np.float32)
    xy = pair.keypoints[side]
    low = np.floor(xy).astype(int)
    u, v = (xy - low).T
    for dx, dy, share in ((0, 0, (1 - u) * (1 - v)), (1, 0, u * (1 - v)), (0, 1, (1 - u) * v), (1, 1, u * v)):
        np.add.at(target, (low[:, 1] + dy, low[:, 0] + dx), share)
    return target[:size, :size].clip(0, 1)
