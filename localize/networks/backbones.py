"""Networks that turn a photo into a map of features, by name: what local and global heads stand on.

A backbone takes RGB images (B, 3, H, W), 0 to 255, brings them to the values it was trained with itself, and returns
maps (B, `channels`, h, w). Cell (i, j) looks at the pixel (row, column) = `stride` * (i, j) + `offset`, counted from
the centre of the first pixel.
"""

from torch import nn

from localize.networks.compact import CompactMaps
from localize.networks.resnet_v2 import ResNet50V2
from localize.networks.small import SmallTrunk
from localize.networks.vgg import VGG16

BACKBONES = {"vgg16": VGG16, "resnet50v2": ResNet50V2, "small": SmallTrunk, "compact": CompactMaps}


def backbone(name: str, **settings) -> nn.Module:
    """A backbone with random weights; settings, such as `stage` and `dense`, as its class takes them."""
    if name not in BACKBONES:
        raise ValueError(f"there is no backbone {name!r}; valid: {', '.join(BACKBONES)}")
    return BACKBONES[name](**settings)
