"""A small network for D2 features: the shared trunk, and a head whose map is both detector and descriptor."""

import torch
from torch import nn

from localize.networks.small import CHANNELS as TRUNK_CHANNELS
from localize.networks.small import Residual, SmallTrunk

CHANNELS = 128


class D2Small(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to maps (B, 128, h, w), 4 px a cell."""

    channels = CHANNELS
    stride = SmallTrunk.stride
    offset = SmallTrunk.offset
    reach_px = 48  # how far a cell sees from its pixel

    def __init__(self, *, relu: bool = False):
        """relu: after the last convolution, as for detection; training works on the map before it."""
        super().__init__()
        self.trunk = SmallTrunk()
        self.head = D2Head()
        self.relu = relu

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """h = ceil(ceil(H / 2) / 2), w alike."""
        x = self.head(self.trunk(images))
        return torch.relu(x) if self.relu else x


class D2Head(nn.Sequential):
    """The trunk's maps (B, 64, h, w) to (B, 128, h, w) of the same size, before the last ReLU.

    Dilated like the test network's conv4, so that a cell sees 48 px more around it and the map keeps its stride.
    """

    def __init__(self):
        last = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=2, dilation=2)
        nn.init.orthogonal_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(Residual(TRUNK_CHANNELS, CHANNELS, dilation=2), last)
