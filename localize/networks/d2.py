"""D2-Net's test network, and what its detector needs to know of other backbones.

Dusmanu et al., "D2-Net: a trainable CNN for joint description and detection of local features", CVPR 2019, and the
authors' code (lib/model_test.py).
"""

import torch
from torch import nn

from localize.networks.d2_small import D2Small
from localize.networks.resnet_v2 import ResNet50V2
from localize.networks.vgg import Normalise, vgg_layers

BACKBONES = ("vgg16", "resnet50v2", "small")
AS_CODED, RIGHT = 1.5, 3.5  # px; see D2VGG16
RESNET_REACH_PX = {1: 20, 2: 48, 3: 136}  # by stage


class D2VGG16(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to maps (B, 512, h, w) of conv4_3, 4 px a cell.

    Parameters have the names of the published checkpoints. The training network is `VGG16(pools=3)`: here the third
    pooling is an average of stride 1 and conv4 is dilated. That pooling is not padded, so cell p looks at pixel
    4p + 3.5, while the authors' code says 4p + 1.5.
    """

    channels, stride = 512, 4
    reach_px = 56  # how far a cell sees from its pixel

    def __init__(self, *, preprocessing: str = "caffe", relu: bool = True, center_fix: bool = False):
        """preprocessing: caffe, as published weights want it, or torch; relu: after the last convolution."""
        super().__init__()
        self.offset = RIGHT if center_fix else AS_CODED
        layers = vgg_layers(pools=3)
        layers[16] = nn.AvgPool2d(2, stride=1)
        for i, into in ((17, 256), (19, 512), (21, 512)):
            layers[i] = nn.Conv2d(into, 512, 3, padding=2, dilation=2)
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = True  # a third of the memory
        self.dense_feature_extraction = nn.ModuleDict({"model": layers})
        self.normalise = Normalise(preprocessing)
        self.relu = relu

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """h = H // 2 // 2 - 1, w alike."""
        layers = self.dense_feature_extraction["model"]
        x = layers(self.normalise(images).to(layers[0].weight.dtype))
        return torch.relu_(x) if self.relu else x


def d2_network(
    backbone: str,
    *,
    preprocessing: str = "caffe",
    relu: bool = True,
    center_fix: bool = False,
    stage: int = 2,
    dense: bool = True,
) -> nn.Module:
    """A network for `d2_pyramid.find` with random weights, of one of BACKBONES; a setting of another one is ignored.

    preprocessing and center_fix are vgg16's, stage and dense resnet50v2's; resnet50v2 always ends with its ReLU.
    """
    if backbone == "vgg16":
        return D2VGG16(preprocessing=preprocessing, relu=relu, center_fix=center_fix)
    if backbone == "resnet50v2":
        network = ResNet50V2(stage, dense=dense)
        network.reach_px = RESNET_REACH_PX[stage]
        return network
    if backbone == "small":
        return D2Small(relu=relu)
    raise ValueError(f"{backbone=}, but must be one of: {', '.join(BACKBONES)}")
