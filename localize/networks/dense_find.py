"""Keypoints and vectors of a photo by a dense CRBNet: its convolutions, and the kernels for what they leave."""

import numpy as np
import torch

from localize.kernels.keypoints import BORDER, peaks, refine_peaks, sample_map
from localize.networks.dense_crbnet import CELLS, MULTIPLE, SAMPLED, STRIDES, DenseCrbnet

ROOM = 16  # keypoints that are looked at for each one that is kept, before the best are taken


@torch.inference_mode()
def find(
    network: DenseCrbnet, photo: np.ndarray, max_keypoints: int, least: float, given: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(places (N, 2) in px from the first pixel's centre, log odds (N,), vectors (N, 256) of unit length), float32.

    photo (H, W) uint8, grey. The `max_keypoints` of the highest scores above `least` (log odds), best first; or the
    places that are `given` (N, 2), described as they are, with the scores of their pixels.
    """
    height, width = photo.shape
    device = next(network.parameters()).device
    filled = np.pad(photo, [(0, -height % MULTIPLE), (0, -width % MULTIPLE)], mode="edge")
    images = torch.from_numpy(filled).to(device)[None, None].float()
    scores, maps = network(images)
    scores = scores[0].cpu().numpy()
    if given is None:
        places, found = best_peaks(scores, height, width, max_keypoints, least)
    else:
        places = np.ascontiguousarray(given, np.float32)
        pixel = np.rint(places).astype(int).clip(0, [width - 1, height - 1])
        found = scores[pixel[:, 1], pixel[:, 0]]
    if not len(places):
        return places, found, np.zeros((0, network.dim), np.float32)
    sampled = np.empty((len(places), sum(c * k * k for c, k in zip(SAMPLED, CELLS, strict=True))), np.float32)
    at = 0
    for cells, stride, side, channels in zip(maps, STRIDES, CELLS, SAMPLED, strict=True):
        columns = np.empty((len(places), channels * side * side), np.float32)
        by_channel = cells[0].permute(1, 2, 0).contiguous().float().cpu().numpy()
        sample_map(by_channel, np.float32(stride), side, places, columns)
        sampled[:, at : at + columns.shape[1]] = columns
        at += columns.shape[1]
    return places, found, network.vectors(torch.from_numpy(sampled).to(device)).cpu().numpy()


def best_peaks(
    scores: np.ndarray, height: int, width: int, max_keypoints: int, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """(places (N, 2), scores (N,)) of the highest peaks of a map of scores, best first, places to a part of a px."""
    if min(height, width) <= 2 * BORDER:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    room = ROOM * max_keypoints
    xy, found = np.empty((room, 2), np.int32), np.empty(room, np.float32)
    count = peaks(scores, np.float32(least), height, width, xy, found)
    if count > room:  # noise everywhere
        xy, found = np.empty((count, 2), np.int32), np.empty(count, np.float32)
        peaks(scores, np.float32(least), height, width, xy, found)
    xy, found = xy[:count], found[:count]
    if count > max_keypoints:
        kept = np.argpartition(-found, max_keypoints)[:max_keypoints]
        xy, found = xy[kept], found[kept]
    order = np.lexsort((xy[:, 0], xy[:, 1], -found))  # of equal scores the upper left: the same on every machine
    xy, found = np.ascontiguousarray(xy[order]), found[order]
    refined = np.empty(xy.shape, np.float32)
    refine_peaks(scores, xy, refined)
    return refined, found
