"""NetVLAD: residuals to cluster centres, softly assigned (Arandjelovic et al., CVPR 2016, eq. 4 and figure 2)."""

import torch
from torch import nn
from torch.nn.functional import linear, normalize


class NetVlad(nn.Module):
    """Maps (B, D, h, w) to (B, K * D) of length 1, or (B, `dim`) where the head has a whitening."""

    def __init__(
        self,
        assignment: torch.Tensor,
        centers: torch.Tensor,
        *,
        bias: torch.Tensor | None = None,
        whitening: tuple[torch.Tensor, torch.Tensor] | None = None,
        clusters_last: bool = False,
    ):
        """assignment, centers: (K, D); bias: (K,); whitening: matrix (dim, K * D) and bias (dim,).

        clusters_last: element d * K + k is that of channel d and cluster k, as the authors' whitening wants it; else
        k * D + d, as pytorch-NetVlad has it.
        """
        super().__init__()
        self.clusters_last = clusters_last
        self.register_buffer("assignment", assignment.float())
        self.register_buffer("centers", centers.float())
        self.register_buffer("bias", None if bias is None else bias.float())
        matrix, shift = whitening or (None, None)
        self.register_buffer("matrix", None if matrix is None else matrix.float())
        self.register_buffer("shift", None if shift is None else shift.float())

    def cut(self, dim: int | None) -> "NetVlad":
        """This head with the first `dim` components of its whitening only; ValueError if it has none."""
        if dim is not None:
            if self.matrix is None:
                raise ValueError("there is no whitening, of which components could be left out")
            self.matrix, self.shift = self.matrix[:dim].clone(), self.shift[:dim].clone()
        return self

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """float32."""
        x = normalize(maps.float().flatten(2), dim=1)  # (B, D, n)
        scores = self.assignment @ x
        shares = (scores if self.bias is None else scores + self.bias[:, None]).softmax(1)  # (B, K, n)
        residuals = shares @ x.mT - shares.sum(2, keepdim=True) * self.centers  # (B, K, D)
        residuals = normalize(residuals, dim=2)
        vectors = normalize((residuals.mT if self.clusters_last else residuals).flatten(1), dim=1)
        if self.matrix is None:
            return vectors
        return normalize(linear(vectors, self.matrix, self.shift), dim=1)


def sharpness(vectors: torch.Tensor, centers: torch.Tensor) -> float:
    """The factor of the assignment for centres (K, D) that nobody trained, from vectors (N, D) of length 1.

    As the authors' addLayers.m: the second best cluster gets a hundredth of the best one's share, on average.
    """
    similar = vectors @ normalize(centers, dim=1).T
    best = similar.topk(min(2, similar.shape[1]), dim=1).values
    gap = (best[:, 0] - best[:, -1]).mean().item()
    return -torch.log(torch.tensor(0.01)).item() / max(gap, 1e-6)
