"""Where in a photo the points of the map must be, and which of its keypoints resemble them there."""

import functools
from dataclasses import dataclass

import numpy as np

from localize.geometry.colmap import camera_rays
from localize.geometry.refine import RefinedPose, refine_pose
from localize.kernels.rows import as_stored
from localize.kernels.window_search import each_keypoint_once, grid_of, window_search
from localize.pose.base import MIN_MATCHES
from localize.pose.refinement.base import SeenPoints
from localize.types import Camera, Features, Pose, Prior

MAX_ZOOM = 4.0  # observations from much nearer or farther show other details
MIN_DEPTH = 1e-6  # of points in front of the camera


class Photo:
    """A query's keypoints without distortion: xy (N, 2), times the focal length, from the principal point."""

    def __init__(self, features: Features, camera: Camera):
        self.camera, self.focal_px = camera, camera.focal_px
        self.xy = np.ascontiguousarray(camera_rays(camera, features.keypoints) * camera.focal_px)
        self.descriptors = np.ascontiguousarray(features.descriptors, np.float32)
        border = camera_rays(camera, _border(camera)) * camera.focal_px
        self.low, self.high = np.nanmin(border, 0), np.nanmax(border, 0)

    @functools.lru_cache(maxsize=4)  # noqa: B019  lives as long as the photo's answer
    def _grid(self, cell_px: float) -> tuple:
        columns, lines = np.maximum(1, np.ceil((self.high - self.low) / cell_px)).astype(int)
        shape = (cell_px, *self.low, columns, lines)
        return (*grid_of(self.xy, *shape), *shape)

    def near(self, places: np.ndarray, found: "Candidates", rows: np.ndarray, radius_px: float, least: float):
        """The keypoint (P,) most similar to each candidate point near its place (P, 2), -1 = none; each at most once.

        rows: of the candidates' rows, those that are compared; least: the similarity that a match must have.
        """
        stored, half = found.stored
        best, keypoint = np.empty(len(places), np.float32), np.empty(len(places), np.int32)
        window_search(
            self.xy, self.descriptors, *self._grid(radius_px),
            places, stored, half, found.rows[rows], found.point[rows], radius_px, np.float32(least), best, keypoint,
        )  # fmt: skip
        each_keypoint_once(best, keypoint, len(self.xy))
        return keypoint

    def spread(self, keypoint: np.ndarray) -> float:
        """Share of 8 x 8 equal parts of the photo in which these keypoints lie."""
        part = ((self.xy[keypoint] - self.low) / (self.high - self.low) * 8).astype(int).clip(0, 7)
        return len(np.unique(part @ [8, 1])) / 64


def _border(camera: Camera) -> np.ndarray:
    w, h = np.linspace(0, camera.width, 9), np.linspace(0, camera.height, 9)
    sides = [np.column_stack([w, 0 * w + y]) for y in (0, camera.height)]
    return np.concatenate(sides + [np.column_stack([0 * h + x, h]) for x in (0, camera.width)])


@dataclass(frozen=True, eq=False)
class Candidates:
    """The points that a query may see: those of the references that see what it sees."""

    xyz: np.ndarray  # (P, 3) m
    rows: np.ndarray  # (R,) of the map: observations of these points
    point: np.ndarray  # (R,) into xyz
    seen_from: np.ndarray  # (R, 3) m, camera centres
    stored: tuple[np.ndarray, bool]  # the map's descriptors, see `rows.as_stored`

    @classmethod
    def around(cls, seen: SeenPoints, points: np.ndarray, max_rows: int) -> "Candidates":
        """The points of the references that share the most of these points (N,), up to max_rows observations."""
        votes = seen.votes(points)
        images = np.argsort(-votes, kind="stable")[: np.count_nonzero(votes)]
        total = np.cumsum(np.diff(seen.rows.image_indptr)[images])
        rows = seen.rows_of(images[: max(1, np.searchsorted(total, max_rows))])
        ids, point = np.unique(seen.rows.point[rows], return_inverse=True)
        stored = as_stored(seen.rows.descriptors)
        return cls(seen.rows.points[ids], rows, point, seen.centers[seen.image_of(rows)], stored)

    def places(self, pose: Pose, photo: Photo, max_angle_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """(places (P, 2) in px of the photo, rows): where the points project, and the observations to compare.

        An observation counts where its point projects into the photo and was seen from a like direction and distance.
        """
        X = self.xyz @ pose.rotation.T + pose.translation
        places = photo.focal_px * X[:, :2] / np.maximum(X[:, 2:], MIN_DEPTH)
        inside = (X[:, 2] > MIN_DEPTH) & (places >= photo.low).all(1) & (places <= photo.high).all(1)
        rows = np.flatnonzero(inside[self.point])
        here, there = (self.xyz - pose.center)[self.point[rows]], self.xyz[self.point[rows]] - self.seen_from[rows]
        distance = np.sqrt((here * here).sum(1)), np.sqrt((there * there).sum(1))
        cosine = (here * there).sum(1) / (distance[0] * distance[1])
        zoom = distance[0] / distance[1]
        alike = (cosine > np.cos(np.radians(max_angle_deg))) & (zoom > 1 / MAX_ZOOM) & (zoom < MAX_ZOOM)
        return places, rows[alike]


class Look:
    """Looks for the candidates in a photo, from one pose after another."""

    def __init__(self, photo: Photo, candidates: Candidates, least: float, max_angle_deg: float):
        self.photo, self.candidates, self.least, self.max_angle_deg = photo, candidates, least, max_angle_deg
        self._places = self._rows = None  # of the last look

    def from_pose(self, pose: Pose, radius_px: float) -> tuple[np.ndarray, np.ndarray]:
        """(candidate points that were found, the keypoint of each), both (H,).

        Where no reference looked from a like direction, those from others count too, from then on.
        """
        first = self._places is None
        keypoint = self._look(pose, radius_px)
        if first and np.count_nonzero(keypoint >= 0) < MIN_MATCHES:
            self.max_angle_deg = 180.0
            keypoint = self._look(pose, radius_px)
        hit = np.flatnonzero(keypoint >= 0)
        return hit, keypoint[hit]

    def _look(self, pose: Pose, radius_px: float) -> np.ndarray:
        self._places, self._rows = self.candidates.places(pose, self.photo, self.max_angle_deg)
        return self.photo.near(self._places, self.candidates, self._rows, radius_px, self.least)

    def at_wrong_places(self, by_px: np.ndarray, radius_px: float) -> int:
        """How many candidates are found where they are not: at the places of the last look, moved."""
        keypoint = self.photo.near(self._places + by_px, self.candidates, self._rows, radius_px, self.least)
        return np.count_nonzero(keypoint >= 0)

    @property
    def in_view(self) -> int:
        """Candidates that the photo should show, by the last look."""
        return len(np.unique(self.candidates.point[self._rows]))

    def fit(self, hit, keypoint, pose: Pose, scale_px: float, prior: Prior | None) -> RefinedPose:
        """The pose that fits what was found best; scale_px: error from which on a match counts less and less."""
        xyz, focal_px = self.candidates.xyz[hit], self.photo.focal_px
        return refine_pose(self.photo.xy[keypoint], xyz, focal_px, pose, scale_px, prior)
