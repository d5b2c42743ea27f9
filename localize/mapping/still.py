"""What stands still in the pictures while their cameras turn: a car's hood, a watermark, dirt on the lens.

It matches from photo to photo, and known poses make points of it that are nowhere. A true point may stay at its pixel
too, by chance. But of true points those that move by up to four times as much are fifteen times as many, as the
differences of their pixels are spread evenly over so small a disc.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from localize.types import Map

STILL_PX = 2.0  # of a photo of up to 1600 px, else so much more
AROUND = 4  # times as far move those that tell what chance gives
LEAST = 20  # matches


def standing_still(moved_px: np.ndarray, reach_px: np.ndarray) -> np.ndarray | None:
    """Which matches stand still, (M,) bool; None where they are no more than chance gives.

    moved_px (M,): how far the pixels of matches are apart whose rays are not parallel; reach_px (M,): what is still.
    """
    still = moved_px <= reach_px
    by_chance = ((moved_px <= AROUND * reach_px) & ~still).sum() / (AROUND**2 - 1)
    return still if still.sum() > LEAST + 2 * by_chance + 10 * np.sqrt(by_chance) else None


def reach_px(px_of_1600: float) -> float:
    """How far apart the pixels of what stands still may be in photos of this size, see `Camera.px_of_1600`."""
    return STILL_PX * max(1.0, px_of_1600)


def still_points(points: Map, keypoints: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which points of a map (P,) bool stay at one pixel in all photos that see them; keypoints (N, 2) px by name."""
    xy, order = np.empty((len(points.image), 2), np.float32), np.argsort(points.image, kind="stable")
    bounds = np.searchsorted(points.image[order], np.arange(len(points.images) + 1))
    for i, name in enumerate(points.images.names):
        rows = order[bounds[i] : bounds[i + 1]]
        xy[rows] = keypoints[name][points.keypoint[rows]]
    reach = np.array([reach_px(image.camera.px_of_1600) for image in points.images])[points.image]
    lengths = np.diff(points.indptr)
    moved = np.linalg.norm(xy - xy[np.repeat(points.indptr[:-1], lengths)], axis=1) > reach
    return np.bincount(np.repeat(np.arange(len(lengths)), lengths), moved, len(lengths)) == 0


def without(points: Map, dropped: np.ndarray) -> Map:
    """The map without some of its points, (P,) bool."""
    lengths = np.diff(points.indptr)
    kept = np.repeat(~dropped, lengths)
    return dataclasses.replace(
        points,
        points=points.points[~dropped],
        indptr=np.concatenate([[0], np.cumsum(lengths[~dropped])]),
        image=points.image[kept],
        keypoint=points.keypoint[kept],
    )
