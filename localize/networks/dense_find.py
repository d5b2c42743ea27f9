"""Keypoints and vectors of a photo by a dense CRBNet: its convolutions, and the kernels for what they leave."""

from dataclasses import dataclass

import numpy as np
import torch

from localize.kernels.keypoints import BORDER, peaks, refine_peaks, sample_map
from localize.networks.dense_crbnet import CELLS, MULTIPLE, SAMPLED, STRIDES, DenseCrbnet

ROOM = 16  # peaks that there is room for at first, for each one that is kept


@dataclass(frozen=True, eq=False)
class Seen:
    """What the convolutions make of a photo (H, W)."""

    scores: np.ndarray  # (H, W) float32 log odds of each pixel to be a keypoint
    maps: list[np.ndarray]  # (h, w, C) float32 of the levels that vectors are made of

    def scores_at(self, places: np.ndarray) -> np.ndarray:
        """(N,) of the pixels nearest to places (N, 2), counted from the first pixel's centre."""
        x, y = np.rint(places).astype(int).clip(0, np.array(self.scores.shape[::-1]) - 1).T
        return self.scores[y, x]


@torch.inference_mode()
def looked_at(network: DenseCrbnet, photo: np.ndarray) -> Seen:
    """The scores and maps of a grey photo (H, W) uint8."""
    height, width = photo.shape
    filled = np.pad(photo, [(0, -height % MULTIPLE), (0, -width % MULTIPLE)], mode="edge")
    images = torch.from_numpy(filled).to(next(network.parameters()).device)[None, None].float()
    scores, maps = network(images)
    by_channel = [m[0].permute(1, 2, 0).contiguous().float().cpu().numpy() for m in maps]
    return Seen(scores[0].cpu().numpy()[:height, :width], by_channel)


def find(seen: Seen, max_keypoints: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """(places (N, 2) float32, from the first pixel's centre to a part of a px; scores (N,)) of the highest peaks above
    `least` (log odds), best first."""
    if min(seen.scores.shape) <= 2 * BORDER:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    count = room = ROOM * max_keypoints
    while count >= room:  # noise everywhere has more of them
        room = count + 1
        xy, found = np.empty((room, 2), np.int32), np.empty(room, np.float32)
        count = peaks(seen.scores, np.float32(least), xy, found)
    xy, found = xy[:count], found[:count]
    if count > max_keypoints:
        kept = np.argpartition(-found, max_keypoints)[:max_keypoints]
        xy, found = xy[kept], found[kept]
    order = np.lexsort((xy[:, 0], xy[:, 1], -found))  # of equal scores the upper left: the same on every machine
    xy = np.ascontiguousarray(xy[order])
    refined = np.empty(xy.shape, np.float32)
    refine_peaks(seen.scores, xy, refined)
    return refined, found[order]


@torch.inference_mode()
def describe(network: DenseCrbnet, seen: Seen, places: np.ndarray) -> np.ndarray:
    """Vectors (N, 256) float32 of unit length at places (N, 2) float32, from the first pixel's centre."""
    if not len(places):
        return np.zeros((0, network.dim), np.float32)
    widths = [channels * side * side for channels, side in zip(SAMPLED, CELLS, strict=True)]
    sampled, at = np.empty((len(places), sum(widths)), np.float32), 0
    for cells, stride, side, width in zip(seen.maps, STRIDES, CELLS, widths, strict=True):
        sample_map(cells, np.float32(stride), side, places, sampled[:, at : at + width])
        at += width
    return network.vectors(torch.from_numpy(sampled).to(next(network.parameters()).device)).cpu().numpy()
