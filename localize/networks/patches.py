"""Networks that describe patches: CRBNet, L2-Net and TFeat. Forward passes only.

L2-Net: Tian, Fan & Wu, CVPR 2017. TFeat: Balntas et al., BMVC 2016. CRBNet: the parallel search paper, section 3.1;
its drawing is lost, so widths and convolutions per stage are our reconstruction.
"""

import torch
from torch import nn

SIDE = 32  # px of a patch
CRBNET = {"crbnet256": (32, 32, 64, 128, 256), "crbnet256_lite": (32, 32, 32, 64, 128)}  # of the first conv, the stages
NAMES = (*CRBNET, "l2net128")


def patch_network(name: str) -> nn.Module:
    """A network with random weights that turns (N, 1, 32, 32) grey values into (N, D) of unit length."""
    if name in CRBNET:
        return CRBNet(CRBNET[name])
    if name == "l2net128":
        return L2Net()
    raise ValueError(f"there is no network {name!r}; valid: {', '.join(NAMES)}")


def _conv(into: int, out: int, side: int = 3, stride: int = 1) -> list[nn.Module]:
    """Convolution without bias and its batch norm without scale and shift: outputs of mean 0, so balanced bits."""
    padding = 1 if side == 3 else 0
    conv = nn.Conv2d(into, out, side, stride=stride, padding=padding, bias=False)
    nn.init.orthogonal_(conv.weight, gain=0.6)
    return [conv, nn.BatchNorm2d(out, affine=False)]


class _Residual(nn.Module):
    """Two convolutions and a shortcut (He et al., CVPR 2016)."""

    def __init__(self, into: int, out: int, stride: int):
        super().__init__()
        self.path = nn.Sequential(*_conv(into, out, stride=stride), nn.ReLU(), *_conv(out, out))
        same = into == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv(into, out, side=1, stride=stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.path(x) + self.shortcut(x))


class _PatchNetwork(nn.Module):
    """Each patch normalised, `body` to 8 x 8, one convolution over all of it, unit length."""

    def __init__(self, body: list[nn.Module], width: int, dim: int):
        super().__init__()
        self.dim = dim
        self.normalise = nn.InstanceNorm2d(1)
        self.body = nn.Sequential(*body)
        self.last = nn.Sequential(nn.Dropout(0.1), *_conv(width, dim, side=8))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        x = self.last(self.body(self.normalise(patches))).flatten(1).float()
        return x / torch.sqrt((x * x).sum(1, keepdim=True) + 1e-10)


class CRBNet(_PatchNetwork):
    """256-D, four residual stages, strides in the last two; bit k is x_k > 0."""

    def __init__(self, widths: tuple[int, ...], dim: int = 256):
        strides = (1, 1, 2, 2)
        stages = [_Residual(*pair) for pair in zip(widths, widths[1:], strides, strict=False)]
        super().__init__([*_conv(1, widths[0]), nn.ReLU(), *stages], widths[-1], dim)


class L2Net(_PatchNetwork):
    """128-D, the plain chain of six convolutions."""

    def __init__(self, dim: int = 128):
        shape = ((1, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1))
        body = [layer for into, out, stride in shape for layer in (*_conv(into, out, stride=stride), nn.ReLU())]
        super().__init__(body, 128, dim)


class TFeat(nn.Module):
    """The 128-D baseline as its authors published it; takes patches normalised one by one, is not of unit length."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.InstanceNorm2d(1), nn.Conv2d(1, 32, 7), nn.Tanh(), nn.MaxPool2d(2, 2), nn.Conv2d(32, 64, 6), nn.Tanh()
        )
        self.descr = nn.Sequential(nn.Linear(64 * 8 * 8, 128), nn.Tanh())

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """(N, 128) of grey values (N, 1, 32, 32)."""
        return self.descr(self.features(patches).flatten(1))


class UnitTFeat(_PatchNetwork):
    """TFeat in the parts of the others, its 128 values brought to unit length."""

    def __init__(self, tfeat: TFeat):
        nn.Module.__init__(self)
        self.dim = 128
        self.normalise, self.body = tfeat.features[0], tfeat.features[1:]
        self.last = nn.Sequential(nn.Flatten(), *tfeat.descr)
