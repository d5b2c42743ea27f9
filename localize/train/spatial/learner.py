"""HOW while it learns: what of it is frozen, and its descriptors of many photos."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from localize.networks.how import How
from localize.train.spatial.maps import TrunkMaps

AT_ONCE = 16  # photos that are described together


@dataclass(frozen=True, eq=False)
class TupleBatch:
    """Photos in groups of one shape, and which of them make tuples.

    groups: maps (G, C, h, w), or images (G, 3, H, W) where the trunk learns (`thawed`); tuples (T, 2 + N) int64 rows
    of all photos, group after group: query, positive, negatives.
    """

    groups: list[torch.Tensor]
    tuples: torch.Tensor
    thawed: bool


class SpatialLearner(nn.Module):
    """HOW, of which all but the reduction learns. `moved` tells whether the trunk has: kept maps of it are stale."""

    def __init__(self, how: How):
        super().__init__()
        self.how = how
        how.requires_grad_().reduction.requires_grad_(False)
        self.register_buffer("moved", torch.tensor(False))

    @property
    def trunk(self) -> nn.Module:
        """The backbone."""
        return self.how.backbone

    def head_parameters(self) -> list[nn.Parameter]:
        """Those of all but the trunk."""
        trunk = set(map(id, self.trunk.parameters()))
        return [p for p in self.how.parameters() if id(p) not in trunk]

    def forward(self, batch: TupleBatch) -> torch.Tensor:
        """Descriptors (R, D) float32 of unit length, group after group.

        Where the trunk learns, what it computes is computed again for the gradients, photo by photo, and not kept:
        35 photos of 1024 px would take more memory than there is.
        """
        if not batch.thawed:
            return torch.cat([self.how.from_maps(maps) for maps in batch.groups]).float()
        self.moved.fill_(True)
        images = [image[None] for group in batch.groups for image in group]
        maps = (checkpoint(self.trunk, image, use_reentrant=False) for image in images)
        return torch.cat([self.how.from_maps(each) for each in maps]).float()


def grouped(tensors: list[torch.Tensor]) -> tuple[np.ndarray, list[torch.Tensor]]:
    """(which tensor each row is of, one stack of tensors for each shape), rows counted stack after stack."""
    by_shape: dict[tuple, list[int]] = {}
    for i, tensor in enumerate(tensors):
        by_shape.setdefault(tuple(tensor.shape), []).append(i)
    return np.concatenate(list(by_shape.values())), [torch.stack([tensors[i] for i in g]) for g in by_shape.values()]


def map_groups(
    learner: SpatialLearner, maps: TrunkMaps, photos: Iterable[int]
) -> Iterable[tuple[np.ndarray, torch.Tensor]]:
    """(places among the photos, maps (G, C, h, w) float32 of one shape) of all photos as they are, a few at a time."""
    see = maps.seen if learner.moved else maps.kept
    photos, start = iter(photos), 0
    while some := [see(int(photo)) for photo in itertools.islice(photos, AT_ONCE)]:
        order, groups = grouped(some)
        ends = np.cumsum([len(group) for group in groups])
        for places, group in zip(np.split(start + order, ends[:-1]), groups, strict=True):
            yield places, group.to(maps.machine.device).float()
        start += len(some)


def described(learner: SpatialLearner, maps: TrunkMaps, photos: Iterable[int]) -> np.ndarray:
    """(N, D) float32 descriptors of photos as they are, by the network as it is."""
    training, found = learner.training, {}
    learner.eval()
    with torch.no_grad(), maps.machine.autocast():
        for places, group in map_groups(learner, maps, photos):
            found.update(zip(places.tolist(), learner.how.from_maps(group).float().cpu().numpy(), strict=True))
    learner.train(training)
    return np.stack([found[i] for i in range(len(found))])
