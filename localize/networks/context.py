"""Modules that let each place of a feature map see its surroundings, between any backbone and its pooling.

Learnable smoothing and a graph network over the strongest places: Seo & Han, "Improving the spatial context of global
descriptors" (slides, KAIST 2024), which give one formula and no hyper-parameters: docs/spatial_context.md lists what
was decided. The average of HOW: Tolias, Jenicek & Chum, ECCV 2020. The second-order block: Ng, Balntas,
Tian & Mikolajczyk, "SOLAR", ECCV 2020. Maps are (B, C, h, w).
"""

import math

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, normalize, pad, softplus

CHOICES = ("learned", "fixed")  # of bandwidth and confidence
EPS = 1e-6  # added to sums of weights, and to the weight of every edge
CONFIDENCE_BIAS = 2.0  # sigmoid: 0.88 at the start
SPREAD = 0.05  # of the kernel features' first weights, times 1 / sqrt(hidden): never 0, where they have no gradient
NEIGHBOURS = 8  # of a node, by position and by similarity
REACH = 0.1  # of an edge, as a share of the map's longer side


class LearnableSmoothing(nn.Module):
    """Maps to maps of the same shape: a mean over `side` x `side` places whose weights are predicted from the map.

    At each place a generator predicts a kernel feature f (dim,), a bandwidth a > 0 and a self-confidence c in (0, 1). A
    neighbour's weight is exp(-a |f - f'|^2), the place's own is c, and there is none beyond the border. At the start
    a = 1, c = 0.88 and the features are nearly alike, so it is nearly the average.
    bandwidth, confidence: "fixed" means 1. normalize: divide by the sum of the weights, without which the length of
    the features would change.
    """

    def __init__(
        self,
        channels: int,
        dim: int = 32,
        side: int = 3,
        hidden: int = 128,
        *,
        bandwidth: str = "learned",
        confidence: str = "learned",
        normalize: bool = True,
    ):
        super().__init__()
        _check_side(side)
        if bandwidth not in CHOICES or confidence not in CHOICES:
            raise ValueError(f"{bandwidth=}, {confidence=}, but expected one of {', '.join(CHOICES)}")
        self.dim, self.side, self.normalize = dim, side, normalize
        self.bandwidth, self.confidence = bandwidth, confidence
        self.generator = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, dim + 2, 1))
        last = self.generator[2]
        nn.init.normal_(last.weight[:dim], std=SPREAD / math.sqrt(hidden))
        nn.init.zeros_(last.weight[dim:])
        nn.init.zeros_(last.bias[:dim])
        nn.init.constant_(last.bias[dim], math.log(math.e - 1))  # softplus: 1
        nn.init.constant_(last.bias[dim + 1], CONFIDENCE_BIAS)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w), in memory a few maps at a time: shift by shift, never all neighbours of all channels."""
        features, bandwidth, own = self._kernel(maps)
        reach, (height, width) = self.side // 2, maps.shape[2:]
        around = (reach, reach, reach, reach)
        wide, wide_features = pad(maps, around), pad(features, around)
        inside = pad(torch.ones_like(own), around)
        total, weights = own[:, None] * maps, own
        for top in range(self.side):
            for left in range(self.side):
                if top == left == reach:
                    continue
                shift = (..., slice(top, top + height), slice(left, left + width))
                apart = (features - wide_features[shift]).square().sum(1)
                weight = inside[shift] * torch.exp(-bandwidth * apart)
                total, weights = total + weight[:, None] * wide[shift], weights + weight
        return total / (weights[:, None] + EPS) if self.normalize else total

    def weights_of(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(bandwidth (B, h, w), self-confidence (B, h, w)): a large bandwidth is a narrow kernel."""
        return self._kernel(maps)[1:]

    def _kernel(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(kernel features (B, dim, h, w), bandwidth (B, h, w), self-confidence (B, h, w))."""
        made = self.generator(normalize(maps, dim=1))
        ones = torch.ones_like(made[:, 0])
        bandwidth = softplus(made[:, self.dim]) if self.bandwidth == "learned" else ones
        confidence = made[:, self.dim + 1].sigmoid() if self.confidence == "learned" else ones
        return made[:, : self.dim], bandwidth, confidence


class AverageSmoothing(nn.Module):
    """Maps to maps of the same shape: the mean over `side` x `side` places, as HOW's; nothing outside counts."""

    def __init__(self, side: int = 3):
        super().__init__()
        _check_side(side)
        self.side = side

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w)."""
        return avg_pool2d(maps, self.side, 1, self.side // 2, count_include_pad=False)


def _check_side(side: int) -> None:
    if side < 1 or side % 2 == 0:
        raise ValueError(f"{side=}, but expected an odd number of places, such as 3 or 5")


class SecondOrder(nn.Module):
    """Maps to maps of the same shape: each place adds what it attends to anywhere on the map (SOLAR, section 3.1).

    The last convolution is 0 at the start, so nothing changes. reduction: channels within are channels / reduction;
    SOLAR's are 4 after the third stage of a ResNet and 2 after the last.
    """

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        within = max(1, channels // reduction)
        self.f, self.g = (
            nn.Sequential(nn.Conv2d(channels, within, 1), nn.BatchNorm2d(within), nn.ReLU()) for _ in range(2)
        )
        self.h, self.v = nn.Conv2d(channels, within, 1), nn.Conv2d(within, channels, 1)
        nn.init.zeros_(self.v.weight)
        nn.init.zeros_(self.v.bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w); time and memory grow with the square of h w."""
        f, g, h = (part(maps).flatten(2) for part in (self.f, self.g, self.h))  # (B, C', n)
        attention = (f.mT @ g / math.sqrt(f.shape[1])).softmax(2)  # (B, n, n): of each place over all
        return maps + self.v((h @ attention.mT).unflatten(2, maps.shape[2:]))


class ContextGCN(nn.Module):
    """The strongest places of a map as nodes of a graph, each refined by those near it and those like it.

    A layer adds V relu(W A h) to the nodes' descriptors h, with A the normalised weights of the edges; V is 0 at the
    start, so nothing changes.
    """

    def __init__(self, dim: int = 128, layers: int = 2, num_nodes: int = 256):
        super().__init__()
        self.num_nodes = num_nodes
        self.inner, self.outer = (
            nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(layers)) for _ in range(2)
        )
        for outer in self.outer:
            nn.init.zeros_(outer.weight)

    def forward(
        self, descriptors: torch.Tensor, attention: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(nodes (B, K, D) of unit length, their attention (B, K), descending, and cells (B, K), row by row).

        descriptors (B, D, h, w), attention (B, h, w); K = num_nodes, or h w if that is less. Equals keep their order.
        """
        height, width = attention.shape[1:]
        order = attention.flatten(1).argsort(dim=1, descending=True, stable=True)
        cells = order[:, : self.num_nodes]
        nodes = descriptors.flatten(2).mT.gather(1, cells[..., None].expand(-1, -1, descriptors.shape[1]))
        places = torch.stack([cells // width, cells % width], -1).to(nodes.dtype)
        edges = graph(nodes.detach(), places, max(height, width))
        for inner, outer in zip(self.inner, self.outer, strict=True):
            nodes = nodes + outer(inner(edges @ nodes).relu())
        return normalize(nodes, dim=2), attention.flatten(1).gather(1, cells), cells


def graph(nodes: torch.Tensor, places: torch.Tensor, longer_side: int) -> torch.Tensor:
    """(B, K, K): the weights of the edges between nodes (B, K, D) at places (B, K, 2) in cells, D^-1/2 E D^-1/2.

    A node's edges go to the 8 nearest and to the 8 most similar ones, and back, and to itself.
    """
    apart = (places[:, :, None] - places[:, None]).square().sum(3)  # whole numbers, so that ties are ties
    unit = normalize(nodes, dim=2)
    similar = unit @ unit.mT
    linked = _nearest(apart) | _nearest(-similar)
    linked = linked | linked.mT | torch.eye(nodes.shape[1], dtype=torch.bool, device=nodes.device)
    weights = torch.exp(-apart / (2 * (REACH * longer_side) ** 2)) * similar.clamp(min=0) + EPS
    weights = weights * linked
    scale = weights.sum(2).rsqrt()
    return scale[:, :, None] * weights * scale[:, None]


def _nearest(apart: torch.Tensor) -> torch.Tensor:
    """(B, K, K) bool: whether a column is one of the nearest of its row, not counting itself; equals: the earlier."""
    count = apart.shape[1]
    own = torch.eye(count, dtype=torch.bool, device=apart.device)
    order = apart.masked_fill(own, math.inf).argsort(dim=2, stable=True)[:, :, : min(NEIGHBOURS, count - 1)]
    return torch.zeros_like(apart, dtype=torch.bool).scatter(2, order, True)
