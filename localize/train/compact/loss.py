"""What the compact global descriptor is trained to do: see what a teacher sees, and know places again."""

from dataclasses import dataclass

import torch
from torch import nn

from localize.networks.compact import WIDE, Compact
from localize.networks.small import CHANNELS as TRUNK
from localize.train.compact.places import OTHER, SAME
from localize.train.compact.teacher import CHANNELS
from localize.train.loop.part import TrainingPart, check_part


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """Changed views (B, 3, H, W) float32, what the teacher saw in them unchanged, and their relations (B, B)."""

    images: torch.Tensor
    maps: list[torch.Tensor]  # (B, K, h, w) per stage
    vectors: torch.Tensor  # (B, D) of unit length
    relations: torch.Tensor


class Student(nn.Module):
    """The compact network, and the linear layers, used in training only, that predict the teacher's maps from it."""

    def __init__(self, compact: Compact | None = None, *, freeze_trunk: bool = False):
        """compact: a trained one to go on with; freeze_trunk: it stays as it is, as another head may stand on it."""
        super().__init__()
        self.compact = compact or Compact()
        self.frozen = freeze_trunk
        self.compact.requires_grad_()
        self.compact.trunk.requires_grad_(not freeze_trunk)
        near, middle, far = CHANNELS
        self.near, self.middle = nn.Conv2d(TRUNK, near, 1), nn.Conv2d(TRUNK, middle, 1)
        self.far = nn.Conv2d(WIDE, far, 1)

    def train(self, mode: bool = True) -> "Student":
        """As any module; the norms of a frozen trunk learn nothing either."""
        super().train(mode)
        if self.frozen:
            self.compact.trunk.eval()
        return self

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(descriptors (B, 256), predicted maps of strides 4, 8, 16)."""
        trunk = self.compact.trunk(images)
        wide = self.compact.head.stages(trunk)
        half = nn.functional.avg_pool2d(trunk, 3, 2, 1, count_include_pad=False)  # cell i is about 2 i, as before
        return self.compact.head.described(wide), [self.near(trunk), self.middle(half), self.far(wide)]


@dataclass(frozen=True)
class CompactLoss(TrainingPart):
    """Weighted terms: `maps`, one minus the cosine per cell, mean of the stages; `vector`, one minus the cosine;
    `place`, the multi-similarity loss."""

    maps: float = 1.0
    vector: float = 2.0
    place: float = 1.0
    alpha: float = 2.0  # of the multi-similarity loss, as its authors set them
    beta: float = 50.0
    margin: float = 0.5
    mined: float = 0.1

    def __post_init__(self):
        check_part(self, positive=("alpha", "beta", "margin", "mined"))

    def __call__(self, student: nn.Module, batch: ViewBatch) -> dict[str, torch.Tensor]:
        """The terms of a batch."""
        found, maps = student(batch.images)
        pairs = zip(maps, batch.maps, strict=True)
        unlike = [1 - nn.functional.cosine_similarity(a.float(), b, dim=1).mean() for a, b in pairs]
        return {
            "maps": self.maps * sum(unlike) / len(unlike),
            "vector": self.vector * (1 - (found * batch.vectors).sum(1).mean()),
            "place": self.place * self.multi_similarity(found, batch.relations),
        }

    def multi_similarity(self, vectors: torch.Tensor, relations: torch.Tensor) -> torch.Tensor:
        """Multi-similarity loss of vectors (B, D) of unit length: Wang et al., CVPR 2019, equations 10 to 12.

        relations (B, B): SAME, OTHER or neither; a row that lacks one of the two counts 0.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            alike = vectors.float() @ vectors.float().T
            itself = torch.eye(len(alike), dtype=torch.bool, device=alike.device)
            same, other = (relations == SAME) & ~itself, relations == OTHER
            best_other = alike.masked_fill(~other, -torch.inf).amax(1, keepdim=True)
            worst_same = alike.masked_fill(~same, torch.inf).amin(1, keepdim=True)
            hard_same, hard_other = same & (alike - self.mined < best_other), other & (alike + self.mined > worst_same)
            pull = torch.where(hard_same, torch.exp(-self.alpha * (alike - self.margin)), 0).sum(1)
            push = torch.where(hard_other, torch.exp(self.beta * (alike - self.margin)), 0).sum(1)
            return (torch.log1p(pull) / self.alpha + torch.log1p(push) / self.beta).mean()
