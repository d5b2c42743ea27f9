"""What a dense CRBNet learns by: CRBNet's losses at corresponding places, a teacher, and where keypoints are."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from localize.kernels.keypoints import WINDOW
from localize.networks.dense_crbnet import DenseCrbnet
from localize.train.crbnet.loss import DUPLICATE, CrbnetLoss, distances, hardest_gaps
from localize.train.dense.batches import DenseBatch
from localize.train.loop.part import TrainingPart, check_part

FAR_PX = 2.0  # a keypoint that far off is another one, and nothing is learned from it


class DenseTraining(nn.Module):
    """A network that learns, and a linear view of its vectors that is compared with a teacher's descriptors."""

    def __init__(self, network: DenseCrbnet, taught_dim: int):
        super().__init__()
        self.network = network
        self.seen_by_teacher = nn.Linear(network.dim, taught_dim)

    def forward(self, batch: DenseBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """(log odds (2 P, S, S), vectors (2 N, 256) at the places: first sides, then second ones)."""
        scores, maps = self.network(batch.images)
        return scores, self.network.vectors(self.network.sampled(maps, batch.places))


@dataclass(frozen=True)
class DenseLoss(TrainingPart):
    """Weights of the terms beside CRBNet's H_d + R_sos + H_dw; 0 leaves a term out."""

    contrast: float = 1.0  # softmax over the batch's other points: what starts from random weights needs it
    temperature: float = 0.05  # of that softmax
    teaching: float = 2.0  # 1 - cosine between a linear view of the vectors and the teacher's descriptors
    detection: float = 0.3  # cross entropy of the pixels with the teacher's keypoints, for each of these
    reliability: float = 0.5  # D2-Net's: scores rise where matching is easy
    repeatability: float = 1.0  # ALIKE's: px between a keypoint and where the same one of the other crop says it is

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_part(self, positive=("temperature",))

    def __call__(self, module: DenseTraining, batch: DenseBatch, crbnet: CrbnetLoss) -> dict[str, torch.Tensor]:
        """The terms by name, weighted; their sum is what is minimised."""
        scores, vectors = module(batch)
        a, p = vectors.chunk(2)
        terms = crbnet(a, p)
        with torch.autocast(vectors.device.type, enabled=False):
            terms["contrast"] = self.contrast * contrast(a, p, self.temperature)
            terms["teaching"] = self.teaching * taught(module.seen_by_teacher(vectors), batch)
            terms["detection"] = self.detection * detection(scores, batch.keypoints)
            terms["repeatability"] = self.repeatability * repeatability(scores, batch)
            terms["reliability"] = self.reliability * reliability(scores, batch.places, a, p)
        return terms


def contrast(a: torch.Tensor, p: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross entropy of finding a point's other side (N, D) among all, both ways."""
    similarity = a @ p.T / temperature
    own = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own)) / 2


def taught(seen: torch.Tensor, batch: DenseBatch) -> torch.Tensor:
    """Mean of 1 - cosine over the points that a teacher described; seen (2 N, D)."""
    wanted, known = batch.taught.repeat(2, 1), batch.is_taught.repeat(2)
    if not known.any():
        return seen.sum() * 0
    return (1 - F.cosine_similarity(seen[known], wanted[known])).mean()


def detection(scores: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
    """Cross entropy of all pixels (B, S, S), per keypoint: the odds learned are those that a keypoint is there, and the
    mean place under them is where it is."""
    known = keypoints >= 0
    if not known.any():
        return scores.sum() * 0
    each = F.binary_cross_entropy_with_logits(scores, keypoints.clamp(min=0), reduction="none")
    return (each * known).sum() / keypoints.clamp(min=0).sum().clamp(min=1)


def reliability(scores: torch.Tensor, places: list[torch.Tensor], a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Mean gap of the pairs, weighted by the product of both scores (D2-Net, eq. 13); only the scores learn by it."""
    at = torch.cat([_at(s.sigmoid(), xy) for s, xy in zip(scores, places, strict=True)])
    first, second = at.chunk(2)
    cross = distances(a.detach(), p.detach())
    gaps = hardest_gaps(cross, cross < DUPLICATE).clamp(min=0)
    weights = first * second
    return (weights * gaps).sum() / weights.sum().clamp(min=1e-9)


def repeatability(scores: torch.Tensor, batch: DenseBatch) -> torch.Tensor:
    """Mean distance (px of the second crop) of what is found around corresponding places, ALIKE's reprojection loss.

    Only where the second place is known exactly, and both 5 x 5 lie inside the crops.
    """
    half = len(batch.places) // 2
    counts = torch.tensor([len(xy) for xy in batch.places[:half]], device=scores.device)
    crop = torch.repeat_interleave(torch.arange(half, device=scores.device), counts)
    first = torch.cat(batch.places[:half])
    least, most = WINDOW, scores.shape[1] - 1 - WINDOW
    inside = [((xy.round() >= least) & (xy.round() <= most)).all(1) for xy in (first, batch.exact)]
    rows = torch.nonzero(inside[0] & inside[1])[:, 0]  # NaN is nowhere inside
    if not len(rows):
        return scores.sum() * 0
    a, b, moves = first[rows], batch.exact[rows], batch.moves[rows]
    told = b + (moves @ (found_around(scores, crop[rows], a) - a)[:, :, None])[:, :, 0]
    return (found_around(scores, half + crop[rows], b) - told).norm(dim=1).clamp(max=FAR_PX).mean()


def found_around(scores: torch.Tensor, image: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    """(N, 2) the mean place under the odds of the 5 x 5 pixels around places (N, 2) of images (N,) of scores (B, S, S),
    as `kernels.keypoints.refine_peaks` finds it."""
    steps = torch.arange(-WINDOW, WINDOW + 1, device=xy.device)
    x, y = xy.round().long().T
    odds = scores[image[:, None, None], y[:, None, None] + steps[:, None], x[:, None, None] + steps]
    share = torch.softmax(odds.flatten(1), 1).view(odds.shape)
    return torch.stack([x + (share.sum(1) * steps).sum(1), y + (share.sum(2) * steps).sum(1)], 1)


def _at(values: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    """(N,) values of a map (S, S) at places (N, 2)."""
    grid = 2 * xy / (values.shape[0] - 1) - 1
    return F.grid_sample(values[None, None], grid[None, :, None], align_corners=True)[0, 0, :, 0]
