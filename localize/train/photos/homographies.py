"""Photos warped by homographies, and where keypoints with shape go. Pixels are COLMAP's: centres at (0.5, 0.5)."""

from dataclasses import dataclass

import numpy as np
import PIL.Image

from localize.geometry.homography import apply

FINEST = 4  # times finer than the photo that a warp is drawn before its pixels are averaged


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Places with shape, as in Features: (N, 2) px, sigma (N,) px, orientation (N,) rad."""

    xy: np.ndarray
    scales: np.ndarray
    orientations: np.ndarray

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, rows) -> "Keypoints":
        return Keypoints(self.xy[rows], self.scales[rows], self.orientations[rows])


def random_homography(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    rotation_deg: float,
    scale: tuple[float, float],
    shear: float,
    perspective: float,
) -> np.ndarray:
    """(3, 3): from pixels of a photo of this size (width, height) to those of its version, which has the same size.

    Turned by up to rotation_deg, resized by a factor in `scale`, sheared by up to `shear` (a tangent), and nearer on
    one side: `perspective` is how much the depth changes from the photo's centre to its edge, as a share. All of it
    about the centre; where an enlarged photo does not fit, a random part of it is seen.
    """
    half = np.array(size) / 2
    unit = half.max()
    angle = np.radians(rng.uniform(-rotation_deg, rotation_deg))
    factor = np.exp(rng.uniform(*np.log(scale)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lean = np.array([[1, rng.uniform(-shear, shear)], [0, 1]])
    towards = rng.uniform(0, 2 * np.pi)
    middle = np.eye(3)
    middle[:2, :2] = factor * turn @ lean
    middle[2, :2] = rng.uniform(0, perspective) * np.array([np.cos(towards), np.sin(towards)])
    spare = max(0.0, factor - 1) * half / unit
    shift = np.eye(3)
    shift[:2, 2] = rng.uniform(-spare, spare)
    to_unit = np.array([[1 / unit, 0, -half[0] / unit], [0, 1 / unit, -half[1] / unit], [0, 0, 1]])
    return np.linalg.inv(to_unit) @ shift @ middle @ to_unit


def jacobian(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """(N, 2, 2): how `apply` changes with x and y at each place."""
    depth = np.column_stack([xy, np.ones(len(xy))]) @ homography[2]
    moved = apply(homography, xy)
    return (homography[:2, :2] - moved[:, :, None] * homography[2, :2]) / depth[:, None, None]


def transfer(homography: np.ndarray, keypoints: Keypoints) -> Keypoints:
    """The keypoints as they should be found in the warped photo.

    The scale grows by the root of the area; the orientation is that of a gradient, which turns by the inverse transpose
    of the Jacobian: of 11,875 keypoints detected again the median turn is 1.5 degrees off, against 3.0 by the Jacobian.
    """
    local = jacobian(homography, keypoints.xy)
    scales = keypoints.scales * np.sqrt(np.abs(np.linalg.det(local)))
    gradient = np.stack([np.cos(keypoints.orientations), np.sin(keypoints.orientations)], 1)
    turned = np.linalg.solve(local.transpose(0, 2, 1), gradient[:, :, None])[:, :, 0]
    return Keypoints(apply(homography, keypoints.xy), scales, np.arctan2(turned[:, 1], turned[:, 0]))


def warp(photo: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """The photo (H, W, 3) uint8 seen through the homography, same size; black where it ends.

    Where it shrinks, it is drawn finer and averaged, so that nothing aliases.
    """
    height, width = photo.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height], [width / 2, height / 2]], float)
    area = np.abs(np.linalg.det(jacobian(homography, corners)))
    finer = int(np.clip(np.ceil(1 / np.sqrt(np.median(area))), 1, FINEST))
    back = np.linalg.inv(np.diag([finer, finer, 1.0]) @ homography)
    coefficients = (back / back[2, 2]).ravel()[:8].tolist()
    drawn = PIL.Image.fromarray(photo).transform(
        (width * finer, height * finer),
        PIL.Image.Transform.PERSPECTIVE,
        coefficients,
        PIL.Image.Resampling.BICUBIC,
    )
    return np.asarray(drawn.reduce(finer) if finer > 1 else drawn)


def squares_inside(keypoints: Keypoints, coefficient: float, homography: np.ndarray, size: tuple[int, int]):
    """Which keypoints (N,) of a warped photo have a square that shows nothing from outside the photo of this size."""
    corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * coefficient / 2
    cos, sin = np.cos(keypoints.orientations), np.sin(keypoints.orientations)
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    corners = keypoints.xy[:, None] + keypoints.scales[:, None, None] * (corner @ turn.transpose(0, 2, 1))
    before = apply(np.linalg.inv(homography), corners.reshape(-1, 2)).reshape(-1, 4, 2)
    inside = (before >= 0) & (before <= size) & (corners >= 0) & (corners <= size)
    return inside.all((1, 2))
