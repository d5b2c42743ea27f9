"""D2 keypoints of a whole photo: the network in tiles, the levels of the pyramid summed up, responses gated.

Dusmanu et al., CVPR 2019, section 4.2 and eq. 8; code lib/pyramid.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import interpolate

from localize.networks.d2_detect import CHANNELS_AT_ONCE, describe, detect, localise, scores

MIN_SIDE_PX = 8  # of a level; a smaller one has no map
TILE_PX = 2**21  # pixels the network sees at once: less than 2 GB in VGG16's first layers


@dataclass(frozen=True, eq=False)
class D2Keypoints:
    """Keypoints level by level, in a level by channel, row and column; not sorted by score."""

    xy_px: torch.Tensor  # (N, 2) float64, counted from the centre of the first pixel
    scales: torch.Tensor  # (N,) float32, 1 / the level's
    scores: torch.Tensor  # (N,) float32
    descriptors: torch.Tensor  # (N, C) float32, unit length


@torch.inference_mode()
def find(
    network: nn.Module,
    image: torch.Tensor,
    scales: Sequence[float] = (1.0,),
    *,
    edge_threshold: float = 5.0,
    exact: bool = True,
    precision: str = "float32",
    tile_px: int = TILE_PX,
) -> D2Keypoints:
    """Keypoints of an RGB image (3, H, W) float32, 0 to 255, on the network's device.

    scales: of the levels, in this order; each map is added to those before it, and a cell that fired does not fire in
    a later level. exact: a position goes back to the photo as the photo went to the level, corner to corner; without,
    by the ratio of the sizes, as the authors' code has it (up to one pixel of the photo beside it at half its size).
    precision: of the network's convolutions, float32 or bfloat16; all else is float32 or more.
    A level without keypoints hands its map on all the same (the code fails there).
    """
    height, width = image.shape[1:]
    found, summed, fired, num_maps = [], None, None, 0
    for scale in scales:
        size = int(height * scale), int(width * scale)
        if min(size) < MIN_SIDE_PX:
            continue
        level = image if size == (height, width) else _resized(image.double(), size).float()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            maps = in_tiles(network, level, tile_px)
        num_maps += 1
        if summed is not None:
            _add_resized(maps, summed)
        summed = maps
        cells, fired = _gated(detect(maps, edge_threshold), fired, maps.shape[1:])
        positions, holds = localise(maps, cells)
        positions, cells = positions[holds], cells[holds]
        ends = [(a - 1) / (b - 1) if exact else a / b for a, b in ((width, size[1]), (height, size[0]))]
        xy = (network.stride * positions.flip(1) + network.offset) * torch.tensor(ends, device=image.device)
        inverse = torch.full((len(xy),), 1 / scale, device=image.device)
        found.append((xy, inverse, scores(maps, cells) / num_maps, describe(maps, positions)))
    if not found:
        empty = torch.zeros((0, network.channels), device=image.device)
        return D2Keypoints(empty[:, :2].double(), empty[:, 0], empty[:, 0], empty)
    return D2Keypoints(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def in_tiles(network: nn.Module, image: torch.Tensor, tile_px: int = TILE_PX) -> torch.Tensor:
    """The network's map (C, h, w) of an image (3, H, W), computed in horizontal bands of about `tile_px` pixels.

    The same as of the whole image but for rounding: a band starts on a cell, and has `network.reach_px` more rows above
    and below than it gives cells for.
    """
    height, width = image.shape[1:]
    stride = network.stride
    reach = -(-network.reach_px // stride) * stride
    rows = height
    if height * width > tile_px:
        rows = max(2 * reach, tile_px // width - 2 * reach)
        rows = -(-height // -(-height // rows) // stride) * stride  # bands of like height
    maps, done = None, 0
    for first in range(0, height, rows):
        top, bottom = max(0, first - reach), min(height, first + rows + reach)
        band = network(image[None, :, top:bottom])[0].float()
        band = band[:, (first - top) // stride :]
        if first + rows < height:
            band = band[:, : rows // stride]
        if maps is None:
            if band.shape[1] and first + rows >= height:
                return band
            maps = torch.empty((-(-height // stride), band.shape[2], len(band)), dtype=band.dtype, device=band.device)
            maps = maps.permute(2, 0, 1)  # a cell's channels lie together, as in the network's own
        maps[:, done : done + band.shape[1]] = band
        done += band.shape[1]
    return maps[:, :done]


def _resized(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return interpolate(maps[None], size, mode="bilinear", align_corners=True)[0]


def _add_resized(maps: torch.Tensor, before: torch.Tensor) -> None:
    """Add the map of the level before, resized to this one's; a few channels at a time, as a whole one is large."""
    for first in range(0, len(maps), CHANNELS_AT_ONCE):
        part = slice(first, first + CHANNELS_AT_ONCE)
        maps[part] += _resized(before[part], tuple(maps.shape[1:]))


def _gated(cells: torch.Tensor, fired: torch.Tensor | None, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The cells where nothing has fired in levels before, and where something has by now, (h, w) bool."""
    height, width = shape
    if fired is None:
        fired = torch.zeros((height, width), dtype=torch.bool, device=cells.device)
    rows = torch.arange(height, device=cells.device) * fired.shape[0] // height  # the nearest, by whole numbers
    columns = torch.arange(width, device=cells.device) * fired.shape[1] // width
    fired = fired[rows[:, None], columns]
    cells = cells[~fired[cells[:, 1], cells[:, 2]]]
    fired[cells[:, 1], cells[:, 2]] = True
    return cells, fired
