"""HOW: a backbone, its spatial context, a reduction, and a sum weighted by attention.

Tolias, Jenicek & Chum, "Learning and aggregating deep local descriptors for instance-level recognition", ECCV 2020; the
authors' code decides the details. What may stand in place of its smoothing: networks/context.py.
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize

from localize.networks.backbones import backbone
from localize.networks.context import AverageSmoothing, ContextGCN, LearnableSmoothing, SecondOrder
from localize.networks.pooling import gem, unit

SMOOTHINGS = ("none", "average", "learned")
POOLINGS = ("how", "gem")
LAYERS = 2  # of the graph network, at most
REDUCTION = 4  # of the second-order block's channels, as SOLAR's after the third stage of a ResNet
POWER = 3.0  # of GeM, at the start
EPS = 1e-10  # within the root of attention, whose gradient at 0 is then a number


@dataclass(frozen=True)
class HowSettings:
    """Which network it is: all that a file of weights must say beside its tensors."""

    backbone: str = "resnet50v2"  # compact, small, vgg16
    stage: int = 3  # resnet50v2: the last one
    preprocessing: str = "caffe"  # vgg16: what its weights were trained with; torch
    smoothing: str = "average"  # none, learned
    side: int = 3  # places along the side of what is smoothed over
    bandwidth: str = "learned"  # of learned smoothing; fixed
    confidence: str = "learned"  # of learned smoothing; fixed
    second_order: bool = False  # SOLAR's block at the end of the backbone
    gcn_layers: int = 0  # of the graph network; without any, all places are pooled
    num_nodes: int = 256  # of the graph network
    dim: int = 128  # values of a descriptor
    pooling: str = "how"  # the sum weighted by attention; gem

    def __post_init__(self):
        if self.smoothing not in SMOOTHINGS or self.pooling not in POOLINGS or not 0 <= self.gcn_layers <= LAYERS:
            raise ValueError(
                f"smoothing is {self.smoothing!r} (of {', '.join(SMOOTHINGS)}), pooling {self.pooling!r} "
                f"(of {', '.join(POOLINGS)}), gcn_layers {self.gcn_layers!r} (0 to {LAYERS})"
            )

    def make_backbone(self) -> nn.Module:
        """The backbone with random weights."""
        return backbone(self.backbone, **self.of_backbone())

    def of_backbone(self) -> dict:
        """What its class takes."""
        of = {"resnet50v2": {"stage": self.stage}, "vgg16": {"preprocessing": self.preprocessing, "relu": True}}
        return of.get(self.backbone, {})


class How(nn.Module):
    """RGB images (B, 3, H, W), 0 to 255, to global descriptors (B, dim) of unit length.

    Batch norms stay as they are in training too, as HOW's, so that a descriptor does not hang on the photos beside it.
    The reduction has to be learned: see `whitened_by`.
    """

    def __init__(self, backbone: nn.Module, settings: HowSettings):
        super().__init__()
        channels = backbone.channels
        self.settings, self.backbone = settings, backbone
        self.second_order = SecondOrder(channels, REDUCTION) if settings.second_order else nn.Identity()
        self.smoothing = nn.Identity()
        if settings.smoothing == "average":
            self.smoothing = AverageSmoothing(settings.side)
        if settings.smoothing == "learned":
            choices = {"bandwidth": settings.bandwidth, "confidence": settings.confidence}
            self.smoothing = LearnableSmoothing(channels, side=settings.side, **choices)
        self.reduction = nn.Conv2d(channels, settings.dim, 1)
        self.context = self.power = None
        if settings.gcn_layers:
            self.context = ContextGCN(settings.dim, settings.gcn_layers, settings.num_nodes)
        if settings.pooling == "gem":  # one for each channel of what is pooled
            self.power = nn.Parameter(torch.full((settings.dim if self.context else channels,), POWER))

    def train(self, mode: bool = True) -> "How":
        """As of any network, but for the batch norms."""
        super().train(mode)
        for part in self.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, dim), of the images at the one size they have."""
        return self.from_maps(self.backbone(images))

    def from_maps(self, *levels: torch.Tensor) -> torch.Tensor:
        """(B, dim) of unit length of the backbone's maps (B, channels, h, w) of the same images at one or more scales.

        how: the sum over all places, or nodes, of all scales of attention times descriptor. gem: over the smoothed
        maps' places, the mean over the scales reduced; of a graph network, over the nodes of all scales.
        """
        with torch.autocast(levels[0].device.type, enabled=False):  # bfloat16 has too few digits for what follows
            return self._described(levels)

    def _described(self, levels: tuple[torch.Tensor, ...]) -> torch.Tensor:
        if self.power is not None and self.context is None:
            return normalize(self.reduction(self.pooled(*levels)[:, :, None, None]).flatten(1), dim=1)
        attention, nodes, _ = (torch.cat(of, 1) for of in zip(*map(self.local, levels), strict=True))
        if self.power is not None:
            return normalize(gem(nodes.mT[..., None], self.power), dim=1)
        return normalize((attention[..., None] * nodes).sum(1), dim=1)

    def pooled(self, *levels: torch.Tensor) -> torch.Tensor:
        """(B, channels) of unit length, before the reduction: the mean over the scales of GeM of the smoothed maps."""
        return unit(sum(unit(gem(self.smoothed(maps)[0], self.power)) for maps in levels))

    def local(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(attention (B, N), descriptors (B, N, dim), cells (B, N)) of the maps (B, channels, h, w) of one scale.

        All places, row by row, or the nodes of the graph network; cell = row * w + column. Attention is comparable
        between the scales of one image; HOW divides it by the largest of them, which changes no order and no sum.
        """
        smooth, attention = self.smoothed(maps)
        reduced = self.reduction(smooth)
        if self.context is not None:
            nodes, attention, cells = self.context(reduced, attention)
            return attention, nodes, cells
        attention = attention.flatten(1)
        return (
            attention,
            reduced.flatten(2).mT,
            torch.arange(attention.shape[1], device=maps.device).expand_as(attention),
        )

    def smoothed(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(what is reduced, or pooled by GeM (B, channels, h, w), attention (B, h, w)) of the backbone's maps.

        Attention is the length of a place's features before they are smoothed.
        """
        maps = self.second_order(maps.to(self.reduction.weight.dtype))
        return self.smoothing(maps), (maps.square().sum(1) + EPS).sqrt()

    def whitened_by(self, mean: torch.Tensor, projection: torch.Tensor) -> "How":
        """A network that shares all but its reduction, which is projection (at most dim, C) of what is left without
        the mean (C,); what is missing of the dim values is 0."""
        reduction = copy.deepcopy(self.reduction).requires_grad_(False)
        weight = torch.zeros_like(reduction.weight)
        weight[: len(projection), :, 0, 0] = projection.to(weight)
        reduction.weight.copy_(weight)
        reduction.bias.copy_(-(weight.flatten(1) @ mean.to(weight)))
        other = copy.copy(self)
        other._modules = self._modules | {"reduction": reduction}
        return other
