"""Matches of two photos beside the poses that these were given: which agree with them, which fit some relative pose."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from localize.geometry.two_view import could_meet, fit_some_pose, ray_angles
from localize.types import ImageList, Pose

MATCHES = 100  # looked at at most, of each pair
ERROR_PX = 4.0  # of a photo of up to 1600 px, else so much more
LEAST, LEAST_SHARE = 15, 0.2  # of a pair's matches that fit some relative pose, more than chance gives

Poses = Mapping[str, Pose]  # by name


@dataclass(frozen=True, eq=False)
class PosedPair:
    """Matches of two photos."""

    names: tuple[str, str]
    number: int  # of all its matches, of which these are a sample
    x: np.ndarray  # (M, 2) rays of the first on the plane z = 1
    y: np.ndarray  # (M, 2) of the second
    moved_px: np.ndarray  # (M,) between the two pixels
    px_of_1600: float
    slack: float  # rad

    def agree(self, poses: Poses) -> np.ndarray:
        """Which of the matches do, (M,) bool."""
        return could_meet(*self._of(poses), self.x, self.y, self.slack)

    def angles_deg(self, poses: Poses) -> np.ndarray:
        """Between the rays of each match, (M,)."""
        return np.degrees(ray_angles(*self._of(poses), self.x, self.y))

    def only(self, kept: np.ndarray) -> "PosedPair":
        """Some of the matches, (M,) bool."""
        return dataclasses.replace(self, x=self.x[kept], y=self.y[kept], moved_px=self.moved_px[kept])

    def _of(self, poses: Poses) -> tuple[Pose, Pose]:
        return poses[self.names[0]], poses[self.names[1]]


def posed_pair(images: ImageList, names: tuple[str, str], rays_of: Callable, keypoints_of: Callable, rows) -> PosedPair:
    """Up to MATCHES, evenly spaced, of the matches rows (M, 2) of two images.

    rays_of: what makes rays (N, 2) on the plane z = 1 of a camera's pixels (N, 2); keypoints_of: an image's (N, 2) px.
    """
    number = len(rows)
    rows = rows[np.linspace(0, number - 1, min(number, MATCHES)).astype(int)] if number else rows
    cameras = [images.by_name[name].camera for name in names]
    xy = [np.float64(keypoints_of(name)[rows[:, k]]) for k, name in enumerate(names)]
    x, y = (np.reshape(rays_of(camera)(at), (-1, 2)) for camera, at in zip(cameras, xy, strict=True))
    size = max(1.0, *(camera.px_of_1600 for camera in cameras))
    slack = ERROR_PX * size / np.mean([camera.focal_px for camera in cameras])
    found = PosedPair(names, number, x, y, np.linalg.norm(xy[0] - xy[1], axis=1), size, float(slack))
    return found.only(np.isfinite(x).all(1) & np.isfinite(y).all(1))


def fitting_some_pose(pairs: list[PosedPair], least: int = LEAST, share: float = LEAST_SHARE) -> list[PosedPair]:
    """The matches that fit a relative pose found without the given ones, where they are more than chance gives."""
    found = [(p, fit_some_pose(p.x, p.y, p.slack)) for p in pairs]
    return [p.only(fit) for p, fit in found if fit.sum() >= max(least, share * len(fit))]


def counted(pairs: list[PosedPair], poses: Poses) -> tuple[int, int]:
    """How many matches there are, and how many agree."""
    return sum(len(p.x) for p in pairs), sum(int(p.agree(poses).sum()) for p in pairs)
