"""The loss of D2-Net: detector and descriptor learned together from one map (Dusmanu et al., CVPR 2019, eq. 4 to 13).

Where paper and published code differ, this is the code: the exponent of eq. 4 is divided by the map's maximum, and
squared distances are those of unit vectors. Ours are EPSILON in two denominators, as a pixel whose values are all 0
made the whole map NaN; that a pair whose scores are all 0 costs nothing; and the term `contrast`, without which a
network of random weights ends within ten steps with one descriptor for all cells.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from localize.train.loop.part import TrainingPart, check_part

EPSILON = 1e-8
TEMPERATURE = 0.07  # of the contrast
CONTRASTED = 256  # matches of a pair


@dataclass(frozen=True)
class D2Loss(TrainingPart):
    """Triplet margin of corresponding cells, weighted by the scores of soft detection; and a contrast of all cells."""

    margin: float = 1.0
    safe_radius: int = 4  # cells (Chebyshev) around the right one that are no negatives
    relu: bool = False  # the descriptor too is the map after its ReLU; false, as in the paper: only the detector's is
    contrast: float = 0.0  # weight of the contrast
    warmup: int = 0  # steps in which the weight of the paper's loss grows from 0 to 1

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_part(self, positive=("margin",))

    def __call__(self, maps: torch.Tensor, matches: list[torch.Tensor], step: int = 0) -> dict[str, torch.Tensor]:
        """The means over the pairs, by the terms' names; without any correspondence 0, whose gradient is 0.

        maps (2 P, C, h, w), before the last ReLU: the first image of each pair, then the second ones; matches: of each
        pair (2, M) int64, corresponding cells as rows of the flattened maps; step: for `warmup`. In float32, whatever
        autocast says.
        """
        weight = min(1.0, (step + 1) / (self.warmup + 1))
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.float()
            scores, half, terms = soft_scores(maps).flatten(1), len(maps) // 2, []
            for i, (cells_a, cells_b) in enumerate(matches):
                if len(cells_a):
                    a, b = (_descriptors(m.relu() if self.relu else m) for m in (maps[i], maps[i + half]))
                    weights = scores[i][cells_a] * scores[i + half][cells_b]
                    hinge = self.hinge(a, b, cells_a, cells_b, maps.shape[2:])
                    weighted = (weights * hinge).sum() / weights.sum().clamp_min(torch.finfo(torch.float32).tiny)
                    terms.append({"D2": weight * weighted})
                    if self.contrast:
                        terms[-1]["contrast"] = self.contrast * contrast(a, b, cells_a, cells_b, maps.shape[2:])
            names = ("D2", "contrast") if self.contrast else ("D2",)
            return {n: torch.stack([t[n] for t in terms]).mean() if terms else 0 * maps.sum() for n in names}

    def hinge(self, all_a, all_b, cells_a, cells_b, shape: tuple[int, int]) -> torch.Tensor:
        """max(0, M + p^2 - n^2) (M,) of the matches between unit vectors (h * w, C): eq. 9 to 12."""
        a, b = all_a[cells_a], all_b[cells_b]
        negative_b = all_b[hardest(a, all_b, cells_b, shape, self.safe_radius)]
        negative_a = all_a[hardest(b, all_a, cells_a, shape, self.safe_radius)]
        negative = torch.minimum(squared_distances(a, negative_b), squared_distances(b, negative_a))
        return F.relu(self.margin + squared_distances(a, b) - negative)


def contrast(all_a, all_b, cells_a, cells_b, shape: tuple[int, int]) -> torch.Tensor:
    """Mean negative logarithm of the right cell's probability among all cells of the other map, from both sides.

    InfoNCE (van den Oord et al., 2018), of up to CONTRASTED matches; the right cell's eight neighbours are left out.
    """
    some = slice(None, None, -(-len(cells_a) // CONTRASTED))
    losses = []
    for vectors, others, right in (
        (all_a[cells_a[some]], all_b, cells_b[some]),
        (all_b[cells_b[some]], all_a, cells_a[some]),
    ):
        products = vectors @ others.T / TEMPERATURE
        masked = products.scatter(1, near(right, shape, 1), -torch.inf)
        losses.append(F.cross_entropy(masked.scatter(1, right[:, None], products.gather(1, right[:, None])), right))
    return torch.stack(losses).mean()


def near(right: torch.Tensor, shape: tuple[int, int], radius: int) -> torch.Tensor:
    """Cells (M, (2 radius + 1)^2) of a map (h, w) within the radius (Chebyshev) of others (M,); some come twice."""
    height, width = shape
    around = torch.arange(-radius, radius + 1, device=right.device)
    rows = ((right // width)[:, None] + around).clamp(0, height - 1)
    columns = ((right % width)[:, None] + around).clamp(0, width - 1)
    return (rows[:, :, None] * width + columns[:, None]).flatten(1)


def _descriptors(one_map: torch.Tensor) -> torch.Tensor:
    """(h * w, C) of unit length of a map (C, h, w)."""
    return F.normalize(one_map.flatten(1), dim=0).T


def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(N,) of unit vectors (N, C)."""
    return 2 - 2 * (a * b).sum(1)


@torch.no_grad()
def hardest(vectors, others, right, shape: tuple[int, int], radius: int) -> torch.Tensor:
    """For each of the unit vectors (M, C) the cell (M,), a row of `others` (h * w, C), that is nearest to it of those
    farther than the radius from the right one (M,); a far smaller graph than that of all distances."""
    return (vectors @ others.T).scatter_(1, near(right, shape, radius), -2.0).argmax(1)


def soft_scores(maps: torch.Tensor) -> torch.Tensor:
    """How much each cell is a keypoint (B, h, w), of maps (B, C, h, w): eq. 4 to 7; the scores of a map sum to 1.

    Cells outside the map count as 0 in the local softmax, so as 1 after the exponential.
    """
    values = F.relu(maps)
    exponentials = torch.exp(values / (values.amax((1, 2, 3), keepdim=True) + EPSILON))
    around = 9 * F.avg_pool2d(F.pad(exponentials, (1, 1, 1, 1), value=1.0), 3, stride=1)
    local = exponentials / around
    across = values / (values.amax(1, keepdim=True) + EPSILON)
    scores = (local * across).amax(1)
    return scores / scores.sum((1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
