"""VGG16 up to a convolution (Simonyan & Zisserman, ICLR 2015), its layers numbered as in torchvision's `features`."""

import torch
from torch import nn

LAYERS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of RGB
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of RGB from 0 to 1
PREPROCESSING = ("caffe", "torch")


def vgg_layers(pools: int) -> nn.Sequential:
    """Convolutions, each with its ReLU but for the last one, up to the convolution before the pooling `pools` + 1."""
    layers, into, seen = [], 3, 0
    for layer in LAYERS:
        if layer == "pool":
            seen += 1
            if seen > pools:
                break
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(into, layer, 3, padding=1), nn.ReLU()]
            into = layer
    return nn.Sequential(*layers[:-1])


class VGG16(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to maps (B, 512, h, w) after the last convolution, before its ReLU."""

    channels = 512

    def __init__(self, pools: int = 4, *, preprocessing: str = "caffe", relu: bool = False):
        """pools: 3 ends with conv4_3, 4 with conv5_3; preprocessing: caffe (BGR minus a mean) or torch; relu: with
        the last one."""
        super().__init__()
        self.stride, self.offset = 2**pools, (2**pools - 1) / 2
        self.features = vgg_layers(pools)
        self.normalise = Normalise(preprocessing)
        self.relu = relu

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """h = H // stride, w alike."""
        x = self.features(self.normalise(images).to(self.features[0].weight.dtype))
        return torch.relu(x) if self.relu else x


class Normalise(nn.Module):
    """RGB from 0 to 255 to what a network wants: `caffe`, BGR minus a mean; `torch`, ImageNet's mean 0, deviation 1."""

    def __init__(self, preprocessing: str, mean: tuple[float, float, float] | None = None):
        """mean: of RGB, in place of Caffe's."""
        super().__init__()
        if preprocessing not in PREPROCESSING:
            raise ValueError(f"{preprocessing=}, but must be one of: {', '.join(PREPROCESSING)}")
        self.caffe = preprocessing == "caffe"
        center = torch.tensor(mean or CAFFE_MEAN) if self.caffe else 255 * torch.tensor(MEAN)
        spread = torch.ones(3) if self.caffe else 255 * torch.tensor(STD)
        self.register_buffer("center", center.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", spread.view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) as the network wants them."""
        x = (images - self.center) / self.spread
        return x.flip(1) if self.caffe else x
