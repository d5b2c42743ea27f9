"""The package's own small trunk: photos to maps that both a local and a global head can read."""

import torch
from torch import nn

CHANNELS = 64


class SmallTrunk(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to maps (B, 64, h, w), 4 px a cell, values >= 0."""

    channels = CHANNELS
    stride = 4
    offset = 0.0  # px; cell (0, 0) looks at the image's first pixel

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *conv_norm(3, 32, stride=2),
            nn.ReLU(),
            *conv_norm(32, 32),
            nn.ReLU(),
            *conv_norm(32, CHANNELS, stride=2),
            nn.ReLU(),
            Residual(CHANNELS, CHANNELS),
            Residual(CHANNELS, CHANNELS),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """h = ceil(ceil(H / 2) / 2), w alike."""
        return self.body(((images - 117.0) / 58.0).to(self.body[0].weight.dtype))


def conv_norm(into: int, out: int, *, side: int = 3, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """A convolution without bias and its batch norm."""
    conv = nn.Conv2d(into, out, side, stride, dilation * (side // 2), dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return [conv, nn.BatchNorm2d(out)]


class Residual(nn.Module):
    """Two convolutions and a shortcut (He et al., CVPR 2016)."""

    def __init__(self, into: int, out: int, *, stride: int = 1, dilation: int = 1):
        super().__init__()
        first = conv_norm(into, out, stride=stride, dilation=dilation)
        self.path = nn.Sequential(*first, nn.ReLU(inplace=True), *conv_norm(out, out, dilation=dilation))
        same = into == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_norm(into, out, side=1, stride=stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, out, h, w), values >= 0."""
        return torch.relu_(self.path(x).add_(self.shortcut(x)))  # in place: new memory costs as much as the sum


class Float32Trunk(nn.Module):
    """A trunk that computes in float32 whatever its head does, as a detector's keypoints hang on it."""

    def __init__(self, trunk: SmallTrunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The trunk's map."""
        with torch.autocast(images.device.type, enabled=False):
            return self.trunk(images.contiguous(memory_format=torch.channels_last))
