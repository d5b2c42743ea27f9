"""The package's own compact global descriptor: a head on the small trunk, whose map a local head can read as well."""

import numpy as np
import torch
from torch import nn

from localize.networks.pooling import gem
from localize.networks.small import CHANNELS, Residual, SmallTrunk, conv_norm

STAGES = (128, 192, 256)  # channels after the residual stages of the head: strides 8, 16 and 16
WIDE = 512  # channels that are pooled
DIM = 256


class Compact(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to global descriptors (B, 256) float32 of unit length."""

    dim = DIM

    def __init__(self):
        super().__init__()
        self.trunk = SmallTrunk()
        self.head = CompactHead()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Any H, W >= 1."""
        return self.head(self.trunk(images))


class CompactHead(nn.Module):
    """The trunk's maps (B, 64, h, w) to (B, 256) float32 of unit length: residual stages, GeM, a linear layer.

    GeM: Radenovic, Tolias & Chum, TPAMI 2019, with a learned power.
    """

    def __init__(self):
        super().__init__()
        widths = (CHANNELS, *STAGES)
        stages = [Residual(a, b, stride=s) for a, b, s in zip(widths, widths[1:], (2, 2, 1), strict=False)]
        self.stages = nn.Sequential(*stages, *conv_norm(STAGES[-1], WIDE, side=1), nn.ReLU())
        self.power = nn.Parameter(torch.tensor(3.0))
        self.last = nn.Linear(WIDE, DIM)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Any h, w >= 1."""
        return self.described(self.stages(maps.to(self.stages[0].path[0].weight.dtype)))

    def described(self, wide: torch.Tensor) -> torch.Tensor:
        """(B, 256) of the last stage's map (B, 512, h, w)."""
        with torch.autocast(wide.device.type, enabled=False):  # a power of bfloat16 has no digits left
            return nn.functional.normalize(self.last(gem(wide.float(), self.power)), dim=1)


class CompactMaps(Compact):
    """RGB images (B, 3, H, W), 0 to 255, to the maps (B, 512, h, w) that the head pools: 16 px a cell, values >= 0."""

    channels = WIDE
    stride = 16
    offset = 0.0  # px; cell (0, 0) looks at the image's first pixel

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """h = H / 16, rounded up, w alike."""
        return self.head.stages(self.trunk(images).to(self.head.stages[0].path[0].weight.dtype))


@torch.inference_mode()
def described(network: Compact, photo: np.ndarray, scales: tuple[float, ...] = (1.0,)) -> np.ndarray:
    """(256,) float32 of unit length of a photo (H, W, 3) uint8: the mean of those at each scale.

    network: as photo_maps.prepared returns it.
    """
    device = network.head.last.weight.device
    image = torch.tensor(photo, dtype=torch.float32, device=device).permute(2, 0, 1)[None]
    total = torch.zeros(1, DIM, device=device)
    for scale in scales:
        level = image
        if scale != 1:
            size = [max(1, int(side * scale)) for side in image.shape[2:]]
            level = nn.functional.interpolate(image, size=size, mode="bilinear", antialias=True)
        total += network(level.contiguous(memory_format=torch.channels_last))
    return nn.functional.normalize(total)[0].cpu().numpy()
