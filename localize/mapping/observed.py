"""What the observations of a map say: matches between its photos, and how far they are from their points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import to_pycolmap_camera
from localize.types import Map, PairMatches

IMAGES = 50  # whose observations are compared with their points


@dataclass(frozen=True, eq=False)
class Reprojection:
    """How far observations are from where their points are projected to."""

    median_px: float | None  # None: no point lies before a camera that sees it

    VERSION: ClassVar[int] = 1


def track_matches(points: Map) -> dict[tuple[str, str], PairMatches]:
    """Each observation of a point with the next one, as matches by pair of names."""
    starts = np.zeros(len(points.image), bool)
    starts[points.indptr[:-1]] = True
    later = np.flatnonzero(~starts)
    images = np.column_stack([points.image[later - 1], points.image[later]])
    rows = np.column_stack([points.keypoint[later - 1], points.keypoint[later]])
    two = images[:, 0] != images[:, 1]  # a supplied model may see a point twice in a photo
    images, rows = images[two], rows[two]
    pairs, which = np.unique(images, axis=0, return_inverse=True)
    order = np.argsort(which.reshape(-1), kind="stable")
    parts = np.split(rows[order], np.cumsum(np.bincount(which.reshape(-1), minlength=len(pairs)))[:-1])
    names = points.images.names
    return {(names[a], names[b]): PairMatches(part) for (a, b), part in zip(pairs, parts, strict=True)}


def reprojection(points: Map, keypoints_of: Callable[[str], np.ndarray]) -> Reprojection:
    """The median over the observations in up to `IMAGES` photos; keypoints_of: an image's (N, 2) px, by name."""
    found = np.concatenate([np.zeros(0), *_errors_px(points, keypoints_of)])
    found = found[np.isfinite(found)]
    return Reprojection(float(np.median(found)) if len(found) else None)


def _errors_px(points: Map, keypoints_of: Callable) -> Iterator[np.ndarray]:
    point = np.repeat(np.arange(len(points.points)), np.diff(points.indptr))
    seeing = np.unique(points.image)
    for i in seeing[np.linspace(0, len(seeing) - 1, min(len(seeing), IMAGES)).astype(int)]:
        image, own = points.images.images[i], points.image == i
        in_camera = points.points[point[own]] @ image.pose.rotation.T + image.pose.translation
        before = in_camera[:, 2] > 0
        projected = np.asarray(to_pycolmap_camera(image.camera).img_from_cam(in_camera[before])).reshape(-1, 2)
        yield np.linalg.norm(projected - keypoints_of(image.name)[points.keypoint[own]][before], axis=1)
