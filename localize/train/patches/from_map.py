"""Patches of a map's points: the same point in every photo of known pose that shows it, whatever the light.

A map's own observations were found by matching descriptors, so they are the easy ones. Here each point is looked for
in all photos by geometry alone: a keypoint counts as seeing it if it lies where the point projects, with the scale and
the orientation that the point's own observations say. So the photos of a night teach what the night looks like.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from localize.components import check_component
from localize.geometry.colmap import to_pycolmap_camera
from localize.progress import counted
from localize.types import Camera, Features, Image, ImageList, InputError, Map

WIDEST = 1.5  # tangent of the angle off the axis beyond which a lens's distortion is not trusted


@dataclass(frozen=True)
class Tracks:
    """Which keypoints of posed photos see which point of a map."""

    max_error_px: float = 1.5  # between the keypoint and the projected point,
    max_error_sigma: float = 1.0  # and in units of the keypoint's scale: beyond, small ones meet others by chance
    max_scale_ratio: float = 1.3  # between the keypoint's scale and the predicted one
    max_turn_deg: float = 20.0  # between the keypoint's orientation and the predicted one
    max_view_angle_deg: float = 30.0  # between the direction a point is seen from and that of its nearest observation
    max_per_point: int = 24  # patches of one point; more are thinned at random
    seed: int = 0

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        positive = (
            "max_error_px",
            "max_error_sigma",
            "max_scale_ratio",
            "max_turn_deg",
            "max_view_angle_deg",
            "max_per_point",
        )
        check_component(self, positive=positive)

    def find(
        self, town: Map, photos: ImageList, features: Mapping[str, Features], progress: bool = False
    ) -> tuple[np.ndarray, ...]:
        """(photo, row, point), each (M,) int64: keypoint `row` of photo `photo` sees `point`.

        photos: all with a pose, the map's own among them or not; features by photo name, with scales and
        orientations. Points that claim one keypoint are the same point if they lie as near each other as the
        keypoint is large; otherwise the one that projects nearest has it. Points seen once are left out. InputError if
        keypoints have no shape.
        """
        seen = _Observations.of(town, features)
        shown = counted(photos, "tracks", shown=progress)
        found = [self._in_photo(town, seen, photo, features[photo.name]) for photo in shown]
        photo = np.repeat(np.arange(len(found)), [len(f[0]) for f in found])
        row, point, error_px, size_m = (np.concatenate([f[k] for f in found]) for k in range(4))
        order = np.lexsort((error_px, row, photo))
        photo, row, point, size_m = photo[order], row[order], point[order], size_m[order]
        first = np.flatnonzero(np.diff(photo, prepend=-1).astype(bool) | np.diff(row, prepend=-1).astype(bool))
        best = point[np.repeat(first, np.diff([*first, len(row)]))]  # the point that projects nearest to each keypoint
        near = np.linalg.norm(town.points[point] - town.points[best], axis=1) <= size_m
        same = _components(point[near], best[near], len(town.points))
        return self._thinned(photo[first], row[first], same[point[first]])

    def seen_by(
        self, town: Map, photos: ImageList, features: Mapping[str, Features], clear_px: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(photo, row, point), each (N,) int64: keypoint `row` of photo `photo` lies where `point` of the map shows.

        features: of the photos and of the map's own ones, as in `find`. clear_px: with another point, be it hidden, as
        near as that, a keypoint does not count.
        """
        seen = _Observations.of(town, features)
        found = [np.zeros((3, 0), np.int64)]
        for i, photo in enumerate(photos):
            row, point, _, _ = self._in_photo(town, seen, photo, features[photo.name])
            if clear_px and len(row):
                at_px, inside = project(photo, town.points)
                near = cKDTree(at_px[inside]).query_ball_point(features[photo.name].keypoints[row], clear_px)
                alone = np.array([len(n) for n in near]) == 1
                row, point = row[alone], point[alone]
            found.append(np.stack([np.full(len(row), i), row, point]))
        return tuple(np.concatenate(found, axis=1))

    def _in_photo(self, town: Map, seen: "_Observations", photo: Image, features: Features):
        """Keypoint rows, the points they see, the errors in px, and the keypoints' size in m at the points."""
        none = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        if not len(features) or not len(town.points):
            return none
        at_px, inside = project(photo, town.points)  # first, as few points of a city are in a photo
        points = np.flatnonzero(inside & (np.diff(town.indptr) > 0))
        if not len(points):
            return none
        observed, cosine = seen.nearest_view(town, photo, points)
        like = cosine >= np.cos(np.radians(self.max_view_angle_deg))
        points, observed = points[like], observed[like]
        at_px = at_px[points]
        scale_px, angle = seen.predict(town, photo, points, observed, at_px)
        pairs = cKDTree(features.keypoints).query_ball_point(at_px, self.max_error_px)
        which = np.repeat(np.arange(len(pairs)), [len(p) for p in pairs])
        rows = np.array([r for p in pairs for r in p], np.int64)
        if not len(rows):
            return none
        ratio = np.abs(np.log(features.scales[rows] / scale_px[which]))
        turn = np.abs(np.angle(np.exp(1j * (features.orientations[rows] - angle[which]))))
        error = np.linalg.norm(features.keypoints[rows] - at_px[which], axis=1)
        fits = (ratio <= np.log(self.max_scale_ratio)) & (turn <= np.radians(self.max_turn_deg))
        fits &= error <= self.max_error_sigma * scale_px[which]
        which, rows, error = which[fits], rows[fits], error[fits]
        best = np.lexsort((error, which))  # of the keypoints that fit a point, the nearest
        best = best[np.unique(which[best], return_index=True)[1]]
        return rows[best], points[which[best]], error[best], seen.size_m[observed[which[best]]]

    def _thinned(self, photo, row, point):
        order = np.random.default_rng(self.seed).permutation(len(point))
        order = order[np.argsort(point[order], kind="stable")]
        _, which, count = np.unique(point[order], return_inverse=True, return_counts=True)
        rank = np.arange(len(order)) - (np.cumsum(count) - count)[which]
        keep = order[(rank < self.max_per_point) & (count[which] >= 2)]
        keep.sort()
        return photo[keep], row[keep], np.unique(point[keep], return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Observations:
    """What the map's own observations say of its points: (M,) each, in the map's order."""

    direction: np.ndarray  # (M, 3) unit, from the point to the camera
    size_m: np.ndarray  # sigma of the keypoint, on a plane at the point
    up_m: np.ndarray  # (M, 3) world, along the keypoint's orientation, as long as size_m

    @classmethod
    def of(cls, town: Map, features: Mapping[str, Features]) -> "_Observations":
        point = np.repeat(np.arange(len(town.points)), np.diff(town.indptr))
        m = len(point)
        direction, size_m, up_m = np.zeros((m, 3)), np.zeros(m), np.zeros((m, 3))
        for i, image in enumerate(town.images):
            here = np.flatnonzero(town.image == i)
            f = features[image.name]
            if f.scales is None or f.orientations is None:
                raise InputError(f"the keypoints of {image.name} have no scale and orientation: take feature=sift")
            towards = image.pose.center - town.points[point[here]]
            depth = -towards @ image.pose.rotation[2]
            angle = f.orientations[town.keypoint[here]]
            direction[here] = towards / np.linalg.norm(towards, axis=1, keepdims=True)
            size_m[here] = f.scales[town.keypoint[here]] * depth / image.camera.focal_px
            in_camera = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(len(here))])
            up_m[here] = size_m[here, None] * (in_camera @ image.pose.rotation)
        return cls(direction, size_m, up_m)

    def nearest_view(self, town: Map, photo: Image, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each of these points, all seen, the observation from the direction most like the photo's, and the cosine
        between the two directions."""
        count = np.diff(town.indptr)[points]
        which, start = np.repeat(np.arange(len(points)), count), np.cumsum(count) - count
        rows = town.indptr[points][which] + np.arange(len(which)) - start[which]
        towards = photo.pose.center - town.points[points]
        towards /= np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
        cosine = (self.direction[rows] * towards[which]).sum(1)
        best = np.maximum.reduceat(cosine, start)
        highest = np.flatnonzero(cosine == best[which])
        first = np.unique(which[highest], return_index=True)[1]
        return rows[highest[first]], best

    def predict(self, town: Map, photo: Image, points, observed, at_px) -> tuple[np.ndarray, np.ndarray]:
        """Scale (px) and orientation (rad) that the points should have in the photo."""
        depth = town.points[points] @ photo.pose.rotation[2] + photo.pose.translation[2]
        scale_px = self.size_m[observed] * photo.camera.focal_px / depth
        tip_px, _ = project(photo, town.points[points] + self.up_m[observed])
        along = tip_px - at_px
        return scale_px, np.arctan2(along[:, 1], along[:, 0])


def project(photo: Image, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2) of points (N, 3) m, and which of them (N,) lie before the camera and inside the photo."""
    camera: Camera = photo.camera
    in_camera = points @ photo.pose.rotation.T + photo.pose.translation
    ahead = in_camera[:, 2] > 1e-6
    safe = np.where(ahead[:, None], in_camera, [0.0, 0.0, 1.0])
    narrow = ahead & (np.hypot(safe[:, 0], safe[:, 1]) < WIDEST * safe[:, 2])
    at_px = np.full((len(points), 2), -1.0)
    if narrow.any():
        at_px[narrow] = np.asarray(to_pycolmap_camera(camera).img_from_cam(safe[narrow]))
    inside = narrow & (at_px >= 0).all(1) & (at_px <= (camera.width, camera.height)).all(1)
    return at_px, inside


def near_points(town: Map, photo: Image, features: Features, distance_px: float) -> np.ndarray:
    """Keypoints (K,) of a photo that lie so near to the projection of any point of the map, be it hidden."""
    at_px, inside = project(photo, town.points)
    if not inside.any() or not len(features):
        return np.zeros(0, np.int64)
    away_px, _ = cKDTree(at_px[inside]).query(features.keypoints, distance_upper_bound=distance_px)
    return np.flatnonzero(np.isfinite(away_px))


def _components(a: np.ndarray, b: np.ndarray, size: int) -> np.ndarray:
    """A number (size,) for each of `size` things, the same for those that pairs (a, b) join."""
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(size, size))
    return connected_components(graph, directed=False)[1].astype(np.int64)
