"""What a large network sees in photos, kept on disk for a small one to learn: distillation (Hinton et al., 2015).

The teacher's maps are brought to their main components, as most of its hundreds of channels say little.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from localize.networks.pooling import gem
from localize.weights.backbones import load_backbone

STAGES = 3
CHANNELS = (32, 64, 128)  # main components that are kept of the stages' maps, strides 4, 8 and 16
POWER = 3.0  # of GeM
CELLS = 100  # of a map that the main components are found from
SPREAD = 0.5  # how far components are brought to one variance: 0 not at all, 1 whitened


@dataclass(frozen=True, eq=False)
class MainComponents:
    """Main components: mean (C,), projection (C, K)."""

    mean: np.ndarray
    projection: np.ndarray

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(N, K) of (N, C)."""
        return (vectors - self.mean) @ self.projection


def main_components(vectors: np.ndarray, num: int, spread: float) -> MainComponents:
    """The `num` directions of (N, C) that vary most, each divided by its standard deviation to the power `spread`."""
    mean = vectors.mean(0)
    values, directions = np.linalg.eigh(np.cov((vectors - mean).T.astype(np.float64)))
    values, directions = values[::-1][:num], directions[:, ::-1][:, :num]
    scale = np.maximum(values, 1e-6 * values[0]) ** (-spread / 2)
    return MainComponents(mean, (directions * scale).astype(np.float32))


class Teacher(nn.Module):
    """A pre-trained ResNet-50 v2: maps after stages 1 to 3, and the GeM of the last one."""

    def __init__(self, path: str):
        """path: its weights under GluonCV's names; InputError if they are missing or others."""
        super().__init__()
        self.network = load_backbone("resnet50v2", path, stage=STAGES).requires_grad_(False)
        self.kept: list[torch.Tensor] = []
        for stage in list(self.network.stages)[1:]:  # a stage ends with the norm that the next one begins with
            stage[0].norms[0].register_forward_hook(lambda _, __, out: self.kept.append(torch.relu(out)))

    def forward(self, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Maps (B, C, h, w) of strides 4, 8 and 16, and (B, 1024), all float32."""
        self.kept.clear()
        last = self.network(images).float()
        return [m.float() for m in self.kept] + [last], nn.functional.normalize(gem(last, POWER), dim=1)
