"""A dense CRBNet: one pass over a grey photo gives a score per pixel, and 256-D vectors whose signs are bits.

It joins two papers: D2-Net (Dusmanu et al., CVPR 2019) detects and describes in one pass, CRBNet (the parallel search
paper, section 3.1) makes vectors whose signs are bits. Scores have the photo's resolution, as in ALIKE (Zhao et al.,
IEEE Transactions on Multimedia 2022); vectors are made at keypoints only, from 3 x 3 cells around them on two levels
and one of a third, so no dense map of 256 channels is ever written.
"""

import torch
import torch.nn.functional as F
from torch import nn

from localize.networks.small import Residual, conv_norm

DIM = 256
WIDTHS = (16, 32, 64, 128)  # of the levels with 2, 4, 8 and 16 px a cell; a fifth has 32 px
STRIDES = (4, 8, 16)  # px a cell of the maps that are described
SAMPLED = (32, 32, 64)  # their channels
CELLS = (3, 3, 1)  # across and down around a keypoint
MULTIPLE = 32  # px; both sides of a photo must be multiples of it
AROUND = 8  # px a cell of the raster in which the light around a pixel is measured
FAINT = 4.0  # grey values added to a standard deviation, so that noise is not taken for contrast
PRIOR = -5.0  # log odds of a pixel to be a keypoint before anything is learned


class DenseCrbnet(nn.Module):
    """Grey photos (B, 1, H, W), 0 to 255, to scores and maps; maps and places to vectors."""

    dim = DIM

    def __init__(self):
        super().__init__()
        a, b, c, d = WIDTHS
        self.level2 = nn.Sequential(
            *conv_norm(2, a, stride=2), nn.ReLU(inplace=True), *conv_norm(a, a), nn.ReLU(inplace=True)
        )
        self.level4 = nn.Sequential(*conv_norm(a, b, stride=2), nn.ReLU(inplace=True), Residual(b, b))
        self.level8 = nn.Sequential(*conv_norm(b, c, stride=2), nn.ReLU(inplace=True), Residual(c, c))
        self.level16 = nn.Sequential(*conv_norm(c, d, stride=2), nn.ReLU(inplace=True), Residual(d, d))
        self.level32 = nn.Sequential(
            *conv_norm(d, d, stride=2), nn.ReLU(inplace=True), *conv_norm(d, d), nn.ReLU(inplace=True)
        )
        self.to8 = nn.Sequential(*conv_norm(d, c, side=1), nn.ReLU(inplace=True))
        self.joined8 = nn.Sequential(*conv_norm(c, c), nn.ReLU(inplace=True))
        self.to4 = nn.Sequential(*conv_norm(c, b, side=1), nn.ReLU(inplace=True))
        self.joined4 = nn.Sequential(*conv_norm(b, b), nn.ReLU(inplace=True))
        self.to2 = nn.Sequential(*conv_norm(b, a, side=1), nn.ReLU(inplace=True))
        self.score = nn.Conv2d(a, 4, 3, padding=1)  # one channel for each of the four pixels of a cell
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.constant_(self.score.bias, PRIOR)
        self.describe = nn.Sequential(
            nn.Linear(sum(n * k * k for n, k in zip(SAMPLED, CELLS, strict=True)), DIM, bias=False),
            nn.BatchNorm1d(DIM),
            nn.ReLU(inplace=True),
            nn.Linear(DIM, DIM, bias=False),
            nn.BatchNorm1d(DIM, affine=False),  # zero mean in every dimension: as many ones as zeros among the bits
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(log odds (B, H, W) of each pixel to be a keypoint, maps (B, C, H / s, W / s) for `vectors`).

        H and W must be multiples of 32. Cell (i, j) of a map looks at the pixel of index s * (i, j).
        """
        half = self.level2(lit_alike(images).to(self.level2[0].weight.dtype))
        quarter = self.level4(half)
        eighth = self.level8(quarter)
        sixteenth = self.level16(eighth)
        sixteenth = self.to8(sixteenth + _enlarged(self.level32(sixteenth)))
        eighth = self.to4(self.joined8(eighth + _enlarged(sixteenth)))
        quarter = self.joined4(quarter + _enlarged(eighth))
        scores = self.score((half + _enlarged(self.to2(quarter))).to(self.score.weight.dtype))
        return F.pixel_shuffle(scores.float(), 2)[:, 0], [quarter, eighth, sixteenth]

    def in_precision(self, dtype: torch.dtype) -> "DenseCrbnet":
        """The convolutions compute in this type; the light, the scores and the vectors stay in float32."""
        for part in self.children():
            if part not in (self.score, self.describe):
                part.to(dtype)
        return self

    def sampled(self, maps: list[torch.Tensor], places: list[torch.Tensor]) -> torch.Tensor:
        """(N, S) what `describe` takes: the maps around places (N_i, 2), in px from the first pixel's centre, of each
        image i; bilinear, and at the edge as the last cell. The readable twin of `kernels.keypoints.sample_map`."""
        rows = []
        for i, xy in enumerate(places):
            parts = [_around(m[i], xy / s, k) for m, s, k in zip(maps, STRIDES, CELLS, strict=True)]
            rows.append(torch.cat(parts, 1))
        return torch.cat(rows)

    def vectors(self, sampled: torch.Tensor) -> torch.Tensor:
        """(N, 256) of unit length, float32, of what was sampled (N, S)."""
        return F.normalize(self.describe(sampled).float())


def _layer(into: int, out: int, **how) -> list[nn.Module]:
    return [*conv_norm(into, out, **how), nn.ReLU(inplace=True)]


def lit_alike(images: torch.Tensor) -> torch.Tensor:
    """(B, 2, H, W): grey values against the whole photo's mean and deviation, and against those around the pixel.

    A photo at night is dark as a whole and bright around its lamps: the second channel shows both parts alike.
    """
    over = F.avg_pool2d(images, AROUND), F.avg_pool2d(images * images, AROUND)
    mean, square = (F.avg_pool2d(x, 5, 1, 2, count_include_pad=False) for x in over)
    deviation = (square - mean * mean).clamp(min=0).sqrt() + FAINT
    local = [F.interpolate(x, images.shape[2:], mode="bilinear") for x in (mean, 1 / deviation)]
    whole = [x.mean((2, 3), keepdim=True) for x in over]
    spread = (whole[1] - whole[0] ** 2).clamp(min=0).sqrt() + FAINT
    both = torch.cat([(images - whole[0]) / spread, (images - local[0]) * local[1]], 1)
    return both.contiguous(memory_format=torch.channels_last)


def _enlarged(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def _around(cells: torch.Tensor, xy: torch.Tensor, side: int) -> torch.Tensor:
    """(N, side * side * C): a map (C, h, w) at `side` x `side` cells around places (N, 2) in cells."""
    steps = torch.arange(side, device=xy.device) - side // 2
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij")[::-1], -1).view(-1, 2)  # rows of x, y
    last = xy.new_tensor([cells.shape[2] - 1, cells.shape[1] - 1])
    grid = 2 * (xy[:, None] + offsets) / last.clamp(min=1) - 1
    found = F.grid_sample(cells[None].float(), grid[None], align_corners=True, padding_mode="border")[0]
    return found.permute(1, 2, 0).flatten(1)
