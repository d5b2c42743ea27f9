"""What HOW is trained to do: photos of one place near each other, of two places apart."""

from dataclasses import dataclass

import torch
from torch import nn

from localize.train.loop.part import TrainingPart, check_part
from localize.train.spatial.learner import TupleBatch

EPS = 1e-12  # within the root of distances, which has no slope at 0


@dataclass(frozen=True)
class SpatialLoss(TrainingPart):
    """The contrastive loss (Hadsell, Chopra & LeCun, CVPR 2006) of tuples: of the positive half the squared distance
    to the query, of each negative half the square of what its distance lacks to the margin, all summed."""

    margin: float = 0.8

    def __post_init__(self):
        check_part(self, positive=("margin",))

    def __call__(self, learner: nn.Module, batch: TupleBatch) -> dict[str, torch.Tensor]:
        """The two terms of a batch."""
        return self.terms(learner(batch), batch.tuples)

    def terms(self, vectors: torch.Tensor, tuples: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of descriptors (R, D) and the rows (T, 2 + N) of query, positive and negatives."""
        with torch.autocast(vectors.device.type, enabled=False):
            query, *others = vectors[tuples].unbind(1)
            squared = torch.stack([(query - other).square().sum(1) for other in others], 1)  # (T, 1 + N)
            lacking = (self.margin - (squared[:, 1:] + EPS).sqrt()).clamp(min=0)
            return {"positive": squared[:, 0].sum() / 2, "negative": lacking.square().sum() / 2}
