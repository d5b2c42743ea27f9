"""Training D2: the network with random weights, and which of its layers learn."""

import torch
from torch import nn

from localize.networks.d2_small import D2Small
from localize.networks.vgg import VGG16

NETWORKS = ("small", "vgg16")
LAYERS = ("head", "all")


def d2_training_network(network: str) -> nn.Module:
    """The network with random weights: RGB 0 to 255 to maps before the last ReLU; vgg16 has stride 8, no dilation."""
    return VGG16(pools=3) if network == "vgg16" else D2Small()


class D2Training(nn.Module):
    """A network of which only the head learns (vgg16: conv4_3), or all; what does not keeps its batch statistics."""

    def __init__(self, network: nn.Module, layers: str):
        super().__init__()
        self.network = network
        parts = [network.features[:-1]] if isinstance(network, VGG16) else [network.trunk]
        self.frozen = parts if layers == "head" else []  # a plain list: no modules of this one
        for part in self.frozen:
            part.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, h, w)."""
        return self.network(images)

    def train(self, mode: bool = True) -> "D2Training":
        """As of any module, but for the frozen parts."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self
