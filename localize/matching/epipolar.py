"""Matches between two images with known poses: mutual nearest neighbours on each other's epipolar lines."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.geometry.colmap import camera_rays
from localize.geometry.two_view import planes_through_baseline
from localize.kernels.epipolar import best_two_in_planes
from localize.kernels.rows import as_stored, read_rows
from localize.matching.mutual import MutualNearest, accepted
from localize.types import Features, Image, PairMatches

NEAREST_RAD = 0.05  # rays nearer to the baseline find no match: the epipole's surroundings, where depth is unknown


@dataclass(frozen=True)
class EpipolarNearest(MutualNearest):
    """As MutualNearest, among the keypoints near each other's epipolar line, on the side where both rays meet.

    Elsewhere no 3D point could be triangulated, so what is elsewhere needs not be compared, nor be less similar. That
    finds more matches in less time. Without poses, as where these are to be judged, the fields of MutualNearest count.
    """

    max_error_px: float = 4.0  # from the epipolar line, as mapping.max_epipolar_error_px
    max_angle_deg: float = 60.0  # between the two rays; features of a surface seen from further apart do not match

    SUITED: ClassVar[dict] = MutualNearest.SUITED

    def __post_init__(self):
        super().__post_init__()
        check_component(self, positive=("max_error_px", "max_angle_deg"))

    def match_posed(self, first: Features, second: Features, images: tuple[Image, Image]) -> PairMatches:
        """Matches (M, 2) ascending by the first image's keypoint; images: the two, with poses."""
        if not len(first) or not len(second) or not (images[0].pose.center != images[1].pose.center).any():
            return self.match(first, second)
        rays = [camera_rays(i.camera, f.keypoints) for i, f in zip(images, (first, second), strict=True)]
        places = planes_through_baseline(images[0].pose, images[1].pose, *rays)
        slacks = [self._slack(i, r, p) for i, r, p in zip(images, rays, places, strict=True)]
        rows, columns = (_by_plane(p, s) for p, s in zip(places, slacks, strict=True))
        a, b = _float32(first.descriptors, rows), _float32(second.descriptors, columns)
        best, runner_up = np.empty((2, len(a)), np.float32)
        column, back = np.empty(len(a), np.int32), np.empty(len(b), np.int32)
        far = self.max_error_px / images[0].camera.focal_px  # rays to a point that is far away hardly meet
        along, most = places[0][rows, 1] - far, np.radians(self.max_angle_deg) + far
        theirs = _round_trip(places[1][columns], slacks[1][columns], np.sqrt(slacks[0][rows].max(initial=0)))
        ours = places[0][rows, 0], along, slacks[0][rows]
        best_two_in_planes(a, *ours, b, *theirs, most, best, column, runner_up, back)
        found = accepted(best, runner_up, self.max_distance, self.ratio)
        found = found[back[column[found]] == found]
        matches = np.column_stack([rows[found], columns[column[found]]])
        return PairMatches(matches[np.argsort(matches[:, 0])])

    def _slack(self, image: Image, rays: np.ndarray, place: np.ndarray) -> np.ndarray:
        """The square (N,) rad of how far a keypoint may be off the plane about the baseline; inf: it is not compared.

        An error of e px turns the ray by e / (f sqrt(1 + r^2)) at most, and its plane by so much over its sine to the
        baseline. Summed over both keypoints, this is Sampson's distance.
        """
        sine = np.sin(place[:, 1])
        turn = self.max_error_px / image.camera.focal_px / np.sqrt(1 + (rays**2).sum(1))
        return np.where(sine > NEAREST_RAD, (turn / np.maximum(sine, NEAREST_RAD)) ** 2, np.inf)


def _float32(descriptors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    values = np.empty((len(rows), descriptors.shape[1]), np.float32)
    read_rows(*as_stored(descriptors), rows, values)
    return values


def _by_plane(place: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """The rows that are compared, by ascending angle about the baseline."""
    rows = np.argsort(place[:, 0], kind="stable")
    return rows[np.isfinite(slack[rows])]


def _round_trip(place: np.ndarray, slack: np.ndarray, reach: float):
    """Angles, angles to the baseline, slacks and rows, with those near -pi and pi again a full turn further."""
    reach += np.sqrt(slack.max(initial=0))
    angle, row = place[:, 0], np.arange(len(place), dtype=np.int32)
    low, high = row[angle < reach - np.pi], row[angle > np.pi - reach]
    row = np.concatenate([high, row, low])
    turns = np.repeat([-2 * np.pi, 0, 2 * np.pi], [len(high), len(place), len(low)])
    return angle[row] + turns, place[row, 1], slack[row], row
