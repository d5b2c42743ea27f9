"""What the observations of a map say: matches between its photos, and how far they are from their points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import to_pycolmap_camera
from localize.mapping.pose_check import PAIRS
from localize.types import Map, PairMatches

IMAGES = 50  # whose observations are compared with their points


@dataclass(frozen=True, eq=False)
class Reprojection:
    """How far observations are from where their points are projected to."""

    median_px: float | None  # None: no point lies before a camera that sees it

    VERSION: ClassVar[int] = 1


def track_matches(points: Map, most: int = PAIRS) -> dict[tuple[str, str], PairMatches]:
    """Each observation of a point with the next one, as matches by pair of names; of up to `most` pairs among all."""
    starts = np.zeros(len(points.image), bool)
    starts[points.indptr[:-1]] = True
    later = np.flatnonzero(~starts)
    later = later[points.image[later - 1] != points.image[later]]  # a supplied model may see a point twice in a photo
    pair = points.image[later - 1] * np.int64(len(points.images)) + points.image[later]
    pairs = np.unique(pair)
    pairs = pairs[np.linspace(0, len(pairs) - 1, min(len(pairs), most)).astype(int)]
    which = np.minimum(np.searchsorted(pairs, pair), len(pairs) - 1)
    own = np.flatnonzero(pairs[which] == pair)
    own = own[np.argsort(which[own], kind="stable")]
    rows = np.column_stack([points.keypoint[later[own] - 1], points.keypoint[later[own]]])
    parts = np.split(rows, np.searchsorted(which[own], np.arange(1, len(pairs))))
    names = [tuple(points.images.names[i] for i in divmod(code, len(points.images))) for code in pairs.tolist()]
    return {two: PairMatches(part) for two, part in zip(names, parts[: len(names)], strict=True)}


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
