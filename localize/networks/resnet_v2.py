"""ResNet-50 v2, cut after a stage: He et al., "Identity mappings in deep residual networks", ECCV 2016.

Layout and parameter names are GluonCV's: the stride is on the 3 x 3 convolution.
"""

import torch
from torch import nn

UNITS = (3, 4, 6, 3)  # bottlenecks per stage
WIDTHS = (256, 512, 1024, 2048)  # channels after a stage
EPS = 1e-5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB from 0 to 1


class ResNet50V2(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to maps (B, channels, h, w) after the norm and ReLU that follow a stage."""

    offset = 0.0  # px; cell (0, 0) looks at the image's first pixel

    def __init__(self, stage: int = 3, *, dense: bool = False):
        """stage: the last one, 1 to 3; dense: it keeps the stride of the one before, dilated (half the stride)."""
        super().__init__()
        self.channels = WIDTHS[stage - 1]
        self.stride = 2 ** (stage + 1) // (2 if dense and stage > 1 else 1)
        self.batchnorm0 = nn.BatchNorm2d(3, EPS)
        self.conv0 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.batchnorm1 = nn.BatchNorm2d(64, EPS)
        self.stages = nn.ModuleList(_stage(s, dense and s == stage - 1 and s > 0) for s in range(stage))
        self.last = nn.BatchNorm2d(self.channels, EPS)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Values >= 0."""
        x = (images - self.mean) / self.std
        x = self.conv0(self.batchnorm0(x).to(self.conv0.weight.dtype))
        x = nn.functional.max_pool2d(torch.relu(self.batchnorm1(x)), 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
        return torch.relu(self.last(x))

    def load_gluon(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take the weights under GluonCV's names; KeyError names one that is missing. Later stages are passed over."""
        named = {}
        for name in ("batchnorm0", "batchnorm1"):
            named |= _norm(name, name)
        named["conv0.weight"] = "conv0_weight"
        for s, units in enumerate(self.stages, 1):
            convs = norms = 0
            for u, unit in enumerate(units):
                for i in range(3):
                    named |= _norm(f"stages.{s - 1}.{u}.norms.{i}", f"stage{s}_batchnorm{norms + i}")
                    named[f"stages.{s - 1}.{u}.convs.{i}.weight"] = f"stage{s}_conv{convs + i}_weight"
                if unit.shortcut is not None:
                    named[f"stages.{s - 1}.{u}.shortcut.weight"] = f"stage{s}_conv{convs + 3}_weight"
                convs, norms = convs + 3 + (unit.shortcut is not None), norms + 3
        named |= _norm("last", f"stage{len(self.stages) + 1}_batchnorm0")
        self.load_state_dict({ours: tensors[theirs].float() for ours, theirs in named.items()}, strict=False)


def _norm(ours: str, theirs: str) -> dict[str, str]:
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}
    return {f"{ours}.{a}": f"{theirs}_{b}" for a, b in parts.items()}


def _stage(s: int, dense: bool) -> nn.Sequential:
    stride = 1 if s == 0 or dense else 2
    into = 64 if s == 0 else WIDTHS[s - 1]
    first = _Bottleneck(into, WIDTHS[s], stride, 1, shortcut=True)
    rest = (_Bottleneck(WIDTHS[s], WIDTHS[s], 1, 2 if dense else 1, shortcut=False) for _ in range(UNITS[s] - 1))
    return nn.Sequential(first, *rest)


class _Bottleneck(nn.Module):
    """Norm, ReLU and convolution, three times, beside a shortcut; one with weights starts after the first ReLU."""

    def __init__(self, into: int, out: int, stride: int, dilation: int, *, shortcut: bool):
        super().__init__()
        mid = out // 4
        self.norms = nn.ModuleList(nn.BatchNorm2d(c, EPS) for c in (into, mid, mid))
        self.convs = nn.ModuleList(
            (
                nn.Conv2d(into, mid, 1, bias=False),
                nn.Conv2d(mid, mid, 3, stride, dilation, dilation, bias=False),
                nn.Conv2d(mid, out, 1, bias=False),
            )
        )
        self.shortcut = nn.Conv2d(into, out, 1, stride, bias=False) if shortcut else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norms[0](x))
        straight = x if self.shortcut is None else self.shortcut(y)
        for i, conv in enumerate(self.convs):
            y = conv(y if i == 0 else torch.relu(self.norms[i](y)))
        return y + straight
