"""The losses of CRBNet: real-valued and binary descriptors learned together.

The parallel search paper, equations 1 to 4; eq. 1 is HardNet's (Mishchuk et al., NIPS 2017), eq. 2 SOSNet's (Tian et
al., CVPR 2019). In eq. 3 as printed the second factor is signed, so the sum under the root is negative for half of all
pairs; the sentence below it says what is meant: only dimensions whose bits differ count, by their squared gap.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from localize.train.loop.part import TrainingPart, check_part

DUPLICATE = 0.008  # rows nearer than this show the same physical point and are no negatives
EPS = 1e-6  # under every root, so that gradients stay finite


@dataclass(frozen=True)
class CrbnetLoss(TrainingPart):
    """H_d + R_sos + H_dw of N pairs of unit vectors (N, K)."""

    bits: bool = True  # False leaves out H_dw: the paper's CRBNet(N)
    second_order: bool = True  # False leaves out R_sos: HardNet
    margin: float = 1.0
    negatives: str = "cross"  # between the two sides of the batch; or cross+intra: also within each (SOSNet)
    hinge_power: int = 1  # 2: SOSNet
    sos_neighbours: int = 8
    sos_mask: str = "union4_sym"  # SOSNet's code; or paper: neighbours in L and R only, not symmetrised

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        choices = {"negatives": ("cross", "cross+intra"), "hinge_power": (1, 2), "sos_mask": ("union4_sym", "paper")}
        check_part(self, positive=("margin", "sos_neighbours"), choices=choices)

    def __call__(self, anchors: torch.Tensor, positives: torch.Tensor) -> dict[str, torch.Tensor]:
        """The terms by name, each a scalar; their sum is what is minimised. In float32, whatever autocast says."""
        with torch.autocast(anchors.device.type, enabled=False):
            a, p = anchors.float(), positives.float()
            cross = distances(a, p)
            duplicate = cross.detach() < DUPLICATE
            within = [distances(x, x) for x in (a, p)]
            same = [matrix.detach() < DUPLICATE for matrix in within]
            inside = zip(within, same, strict=True) if self.negatives == "cross+intra" else ()
            terms = {"H_d": self._hinge(cross, duplicate, inside)}
            if self.second_order:
                terms["R_sos"] = second_order(*within, cross, self.sos_neighbours, self.sos_mask)
            if self.bits:  # equal bits make no duplicate: two points with the same bits are what this term is against
                of_bits = (bit_distances(x, x) for x in (a, p))
                inside = zip(of_bits, same, strict=True) if self.negatives == "cross+intra" else ()
                terms["H_dw"] = self._hinge(bit_distances(a, p), duplicate, inside)
            return terms

    def _hinge(self, cross: torch.Tensor, duplicate: torch.Tensor, inside) -> torch.Tensor:
        return hardest_hinge(cross, duplicate, inside, margin=self.margin, power=self.hinge_power)


def distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Euclidean distances (N, M) of unit vectors."""
    return torch.sqrt((2 - 2 * x @ y.T).abs() + EPS)


def bit_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """d_w (N, M), eq. 3: the length of the gap in the dimensions whose bits (value > 0) differ.

    Written out as six matrix products, which need no (N, M, K): with x+ and x- the positive and negative parts,
    (x - y)^2 = x^2 - 2 x y + y^2 summed over the dimensions where one side is positive and the other is not.
    """
    x_up, x_down, y_up, y_down = x.clamp(min=0), (-x).clamp(min=0), y.clamp(min=0), (-y).clamp(min=0)
    s, t = (x > 0).to(x.dtype), (y > 0).to(y.dtype)
    squared = x_up**2 @ (1 - t).T + 2 * x_up @ y_down.T + s @ (y_down**2).T
    squared = squared + x_down**2 @ t.T + 2 * x_down @ y_up.T + (1 - s) @ (y_up**2).T
    return torch.sqrt(squared.clamp(min=0) + EPS)


def hardest_hinge(cross, duplicate, inside=(), *, margin: float = 1.0, power: int = 1) -> torch.Tensor:
    """Mean over the pairs of max(0, gap), eq. 1, with the gaps of `hardest_gaps`."""
    return hardest_gaps(cross, duplicate, inside, margin=margin).clamp(min=0).pow(power).mean()


def hardest_gaps(cross, duplicate, inside=(), *, margin: float = 1.0) -> torch.Tensor:
    """(N,) margin + d(a, p) - smallest distance to another pair's side.

    cross (N, N) has the pairs on its diagonal; duplicate (N, N) bool are no negatives; inside: the same two for the
    distances within a side, if those are negatives too. A pair without any negative has a gap of -inf: it costs
    nothing.
    """
    own = torch.eye(len(cross), dtype=torch.bool, device=cross.device)
    others = cross.masked_fill(own | duplicate, torch.inf)
    nearest = torch.minimum(others.min(1).values, others.min(0).values)
    for matrix, same in inside:
        apart = matrix.masked_fill(own | same, torch.inf)
        nearest = torch.minimum(nearest, apart.min(1).values)
    return margin + cross.diagonal() - nearest


def second_order(left, right, cross, neighbours: int = 8, mask: str = "union4_sym") -> torch.Tensor:
    """R_sos, eq. 2: how differently the two sides of each pair lie among their nearest neighbours.

    left, right (N, N): distances within each side; the neighbours are those of SOSNet's code, or the paper's text.
    """
    own = torch.eye(len(left), dtype=torch.bool, device=left.device)
    if len(left) <= neighbours:
        chosen = ~own
    else:
        by_row, by_column = ((m, d) for m, d in ((left, 1), (right, 0)))
        sets = [by_row, by_column] + ([(cross, 1), (cross, 0)] if mask == "union4_sym" else [])
        chosen = torch.zeros_like(own)
        for matrix, dim in sets:
            apart = matrix.detach().masked_fill(own | (matrix.detach() < DUPLICATE), torch.inf)
            nearest = apart.topk(neighbours, dim=dim, largest=False).indices
            near = torch.zeros_like(own).scatter(dim, nearest, True)
            chosen = chosen | (near | near.T if mask == "union4_sym" else near)
        chosen = chosen & ~own
    squared = torch.where(chosen, (left - right) ** 2, 0.0).sum(1)
    return torch.sqrt(squared + EPS).mean()
