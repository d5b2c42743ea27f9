"""ALIKE: a photo to a map of keypoint scores at full resolution, and descriptors at any place of it.

Zhao et al., "ALIKE: accurate and lightweight keypoint detection and descriptor extraction", IEEE Transactions on
Multimedia 2022. Widths are those of ALIKE-N, and modules are named as in its published state dict.
"""

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (16, 32, 64, 128)
POOLS = (2, 4, 4)  # before blocks 2, 3 and 4
MULTIPLE = 32  # px; both sides of a photo must be multiples of it
BORDER = 2  # px without keypoints, so that the window of the refinement lies inside
WINDOW = 2  # px to each side, of non-maximum suppression and refinement
TEMPERATURE = 0.1


class _Block(nn.Module):
    """Two convolutions with batch norm; from block 2 on with a shortcut."""

    def __init__(self, into: int, out: int, *, shortcut: bool):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Conv2d(into, out, 1) if shortcut else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out if self.downsample is None else out + self.downsample(x))


class Alike(nn.Module):
    """ALIKE-N. The paper's full-resolution map of `dim` + 1 channels is never made.

    Its scores are a sum over the levels of what is enlarged after the head's convolution instead of before, which is
    the same, both being linear; its descriptors are made at the pixels around keypoints only.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, dim: int = 128):
        super().__init__()
        self.dim = dim
        into = 3
        for i, width in enumerate(widths, 1):
            setattr(self, f"block{i}", _Block(into, width, shortcut=i > 1))
            setattr(self, f"conv{i}", nn.Conv2d(width, dim // 4, 1, bias=False))
            into = width
        self.convhead2 = nn.Conv2d(dim, dim + 1, 1, bias=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(scores (B, H, W) from 0 to 1, maps of the four levels (B, dim / 4, h, w)) of RGB (B, 3, H, W), 0 to 255.

        H and W must be multiples of 32.
        """
        x, maps = images / 255, []
        for i in range(1, 5):
            if i > 1:
                x = F.max_pool2d(x, POOLS[i - 2])
            x = getattr(self, f"block{i}")(x)
            maps.append(torch.relu(getattr(self, f"conv{i}")(x)))
        weights = self.convhead2.weight[self.dim :].split(self.dim // 4, dim=1)
        scores = sum(_enlarged(F.conv2d(m, w), images.shape[2:]) for m, w in zip(maps, weights, strict=True))
        return torch.sigmoid(scores[:, 0]), maps

    def descriptors(self, maps: list[torch.Tensor], xy: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(N, dim) of unit length at places (N, 2) of one photo, counted from the centre of the first pixel.

        maps: of a batch of one, from a photo of `size` (H, W). The descriptors of the four pixels around a place, each
        of unit length, are mixed bilinearly.
        """
        height, width = size
        corner = xy.floor()
        mixed = 0
        for dx in (0, 1):
            for dy in (0, 1):
                step = xy.new_tensor([dx, dy])
                share = (1 - (xy - corner - step).abs()).prod(1, keepdim=True)
                pixel = (corner + step).minimum(xy.new_tensor([width - 1, height - 1]))
                mixed = mixed + share * F.normalize(self._at(maps, pixel, size))
        return F.normalize(mixed)

    def _at(self, maps, pixels, size) -> torch.Tensor:
        """(N, dim) the head's channels at pixels (N, 2)."""
        grid = 2 * pixels / pixels.new_tensor([size[1] - 1, size[0] - 1]) - 1
        parts = [F.grid_sample(m, grid[None, :, None], align_corners=True)[0, :, :, 0] for m in maps]
        return (self.convhead2.weight[: self.dim, :, 0, 0] @ torch.cat(parts)).T


def _enlarged(x: torch.Tensor, size) -> torch.Tensor:
    return x if x.shape[2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=True)


def detect(scores: torch.Tensor, threshold: float, max_keypoints: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(places (N, 2), from the centre of the first pixel; scores (N,), descending) of a map (H, W).

    Differentiable keypoint detection: the maxima of their 5 x 5 windows above the threshold, each moved to the mean of
    the window's pixels under the softmax of its scores at temperature 0.1.
    """
    side = 2 * WINDOW + 1
    height, width = scores.shape
    if min(height, width) <= 2 * BORDER:
        return scores.new_zeros((0, 2)), scores.new_zeros(0)
    highest = F.max_pool2d(scores[None], side, 1, WINDOW)[0]
    peak = (scores == highest) & (scores > threshold)
    inner = torch.zeros_like(peak)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    y, x = torch.nonzero(peak & inner, as_tuple=True)
    best = torch.argsort(scores[y, x], descending=True, stable=True)[:max_keypoints]
    y, x = y[best], x[best]
    steps = torch.arange(-WINDOW, WINDOW + 1, device=scores.device)
    window = scores[(y[:, None, None] + steps[:, None]), (x[:, None, None] + steps)]  # (N, 5, 5)
    share = torch.softmax(window.flatten(1) / TEMPERATURE, 1).view(window.shape)
    moved = torch.stack([(share.sum(1) * steps).sum(1), (share.sum(2) * steps).sum(1)], 1)
    return torch.stack([x, y], 1) + moved, scores[y, x]
