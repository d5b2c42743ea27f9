"""Which references are right for a query, by shared visible points or by distance, and the recall of a ranking.

A reference is right if it shows a share of what the query shows (20 % unless told otherwise): of the map points that
are visible in the query at its TRUE pose, so many are visible in the reference at its own. A point is visible if

1. it projects into the photo, in front of the camera;
2. nothing hides it: no map point in the same cell of the photo (16 x 16 px) is nearer by over a tenth of its depth;
3. it is seen from a side it was seen from: the ray is within 60 deg of that of some reference which observes it.

The map must not come from the ranking that is judged: its pairs of references are chosen by their known poses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.components import check_component
from localize.geometry.colmap import to_pycolmap_camera
from localize.types import Image, ImageList, Map

LEAST_DEPTH_M = 1e-6


@dataclass(frozen=True)
class Visibility:
    """Rule 1 to 3: when a map point counts as visible in a photo of known pose."""

    cell_px: float = 16.0
    depth_margin: float = 0.1  # share of the depth
    max_angle_deg: float = 60.0

    def __post_init__(self):
        check_component(self, positive=("cell_px", "depth_margin", "max_angle_deg"))

    def visible(self, model: Map, image: Image) -> np.ndarray:
        """(P,) bool of the map's points."""
        camera = image.camera
        in_camera = model.points @ image.pose.rotation.T + image.pose.translation
        depth = in_camera[:, 2]
        xy = np.full((len(depth), 2), np.nan)
        front = depth > LEAST_DEPTH_M
        if front.any():
            xy[front] = to_pycolmap_camera(camera).img_from_cam(in_camera[front])
        seen = front & ((xy >= 0) & (xy < (camera.width, camera.height))).all(1)  # NaN is never inside
        rows = np.flatnonzero(seen)
        cells = (xy[rows] // self.cell_px).astype(np.int64)
        cell = cells[:, 1] * (camera.width // int(self.cell_px) + 2) + cells[:, 0]
        nearest = np.full(cell.max(initial=-1) + 1, np.inf)
        np.minimum.at(nearest, cell, depth[rows])
        seen[rows] = depth[rows] * (1 - self.depth_margin) <= nearest[cell]
        return seen & self._from_a_known_side(model, image.pose.center)

    def _from_a_known_side(self, model: Map, center: np.ndarray) -> np.ndarray:
        """(P,) bool: within the angle of some observing reference's ray."""
        point = np.repeat(np.arange(len(model.points)), np.diff(model.indptr))
        centers = np.array([i.pose.center for i in model.images]).reshape(-1, 3)
        observed = _unit(centers[model.image] - model.points[point])
        ray = _unit(center - model.points)
        close = np.einsum("ij,ij->i", observed, ray[point]) >= np.cos(np.radians(self.max_angle_deg))
        known = np.zeros(len(model.points), bool)
        known[point[close]] = True
        return known


def _unit(rays: np.ndarray) -> np.ndarray:
    return rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)


def shared_points(model: Map, queries: ImageList, references: ImageList, rule: Visibility) -> np.ndarray:
    """(Q, R) share in 0..1 of the points visible in a query that are visible in a reference; 0 if it shows none."""
    of_references = np.array([rule.visible(model, image) for image in references]).reshape(len(references), -1)
    shares = np.zeros((len(queries), len(references)))
    for i, query in enumerate(queries):
        seen = rule.visible(model, query)
        shares[i] = of_references[:, seen].mean(1) if seen.any() else 0
    return shares


def distances_m(queries: ImageList, references: ImageList) -> np.ndarray:
    """(Q, R) distances of the camera centres."""
    q, r = (np.array([i.pose.center for i in images]).reshape(-1, 3) for images in (queries, references))
    return np.linalg.norm(q[:, None] - r[None], axis=2)


def first_right(index: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(Q,) rank of the first right reference in a ranking (Q, K), from 0; inf if there is none among them."""
    hit = np.take_along_axis(right, np.maximum(index, 0), axis=1) & (index >= 0)
    return np.where(hit.any(1), hit.argmax(1) if hit.shape[1] else 0, np.inf)


def retrieval_recall(ranks: np.ndarray, right: np.ndarray, ks: Sequence[int]) -> list[float | None]:
    """Share of the queries with a right reference among their first k; those that have none anywhere do not count."""
    possible = right.any(1)
    return [float(np.mean(ranks[possible] < k)) if possible.any() else None for k in ks]
