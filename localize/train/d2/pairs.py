"""Pairs of crops of photos, and where the pixels of the first show in the second.

Positions here are indices: (0, 0) is the centre of a crop's first pixel. A crop's `corner` is the index of its first
pixel in the photo, so a crop's position p is the photo's p + corner, and p + corner + 0.5 in COLMAP's pixels.
"""

from dataclasses import dataclass

import numpy as np

from localize.geometry.colmap import camera_rays, to_pycolmap_camera
from localize.geometry.homography import apply
from localize.types import Camera, Pose


@dataclass(frozen=True, eq=False)
class TrainingPair:
    """Two crops (S, S, 3) uint8 RGB of equal size, and what tells where a position goes."""

    first: np.ndarray
    second: np.ndarray
    moves: "HomographyMove | DepthMove"


@dataclass(frozen=True, eq=False)
class HomographyMove:
    """From crop to crop by (3, 3), in COLMAP's pixels of both."""

    homography: np.ndarray

    def __call__(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) in the second crop, and which of them (N,) mean something."""
        centres = np.asarray(xy, np.float64) + 0.5
        in_front = np.column_stack([centres, np.ones(len(centres))]) @ self.homography[2] > 0
        return apply(self.homography, centres) - 0.5, in_front


@dataclass(frozen=True, eq=False)
class DepthCrop:
    """A crop of a posed photo: depth (S, S) float32 along the optical axis, 0 = unknown."""

    camera: Camera
    pose: Pose
    depth: np.ndarray
    corner: tuple[int, int]  # x, y

    def in_world(self, xy: np.ndarray) -> np.ndarray:
        """Points (N, 3) on the surface seen at positions (N, 2); NaN where the depth is unknown."""
        depth, known = depth_at(self.depth, xy)
        rays = camera_rays(self.camera, xy + np.array(self.corner) + 0.5)
        in_camera = np.column_stack([rays, np.ones(len(rays))]) * np.where(known, depth, np.nan)[:, None]
        return (in_camera - self.pose.translation) @ self.pose.rotation


@dataclass(frozen=True, eq=False)
class DepthMove:
    """From crop to crop over the surface that the depth maps describe (D2-Net's `warp`, Dusmanu et al., CVPR 2019)."""

    first: DepthCrop
    second: DepthCrop
    tolerance: float = 0.05  # between the depth of a point and that of the second map, in its units,
    relative: bool = False  # or as a share of it

    def __call__(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, 2) in the second crop, and which of them (N,) show the same surface in both."""
        a, b = self.first, self.second
        in_b = a.in_world(xy) @ b.pose.rotation.T + b.pose.translation
        valid = np.isfinite(in_b).all(1) & (in_b[:, 2] > 0)  # the published code projects points behind it, too
        safe = np.where(valid[:, None], in_b, [0, 0, 1])
        moved = np.asarray(to_pycolmap_camera(b.camera).img_from_cam(safe)) - np.array(b.corner) - 0.5
        valid &= np.isfinite(moved).all(1)
        there, known = depth_at(b.depth, moved)
        allowed = self.tolerance * (there if self.relative else 1)
        return moved, valid & known & (np.abs(safe[:, 2] - there) < allowed)


def depth_at(depth: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(depth (N,) by bilinear interpolation, which of them (N,) are known): all four neighbours must be > 0."""
    height, width = depth.shape
    xy = np.nan_to_num(xy, nan=-1.0).clip(-1, max(depth.shape))
    low = np.floor(xy).astype(int)
    high = np.ceil(xy).astype(int)
    known = (low >= 0).all(1) & (high[:, 0] < width) & (high[:, 1] < height)
    low, high = np.where(known[:, None], low, 0), np.where(known[:, None], high, 0)
    corners = [depth[y, x] for y in (low[:, 1], high[:, 1]) for x in (low[:, 0], high[:, 0])]
    known &= (np.stack(corners) > 0).all(0)
    across, down = (xy - low).T
    above, below = (one * (1 - across) + two * across for one, two in (corners[:2], corners[2:]))
    return np.where(known, above * (1 - down) + below * down, 0.0), known


def matching_cells(pair: TrainingPair, stride: int, offset: float) -> np.ndarray:
    """(2, M) int64: cells of a network's map of the first crop, and those of the second that show the same place.

    Cell (i, j) looks at the pixel (row, column) = stride * (i, j) + offset; a cell is its row in the flattened map. The
    crops' side is a multiple of the stride.
    """
    rows, columns = (side // stride for side in pair.first.shape[:2])
    cells = np.arange(rows * columns)
    xy = np.stack([cells % columns, cells // columns], 1) * float(stride) + offset
    moved, valid = pair.moves(xy)
    nearest = np.rint((np.where(valid[:, None], moved, -1e6) - offset) / stride).astype(np.int64)
    valid &= (nearest >= 0).all(1) & (nearest[:, 0] < columns) & (nearest[:, 1] < rows)
    return np.stack([cells[valid], nearest[valid, 1] * columns + nearest[valid, 0]])


def window(center: np.ndarray, size: tuple[int, int], side: int) -> tuple[int, int]:
    """Corner (x, y) of the square of `side` px around a position of a photo (width, height), shifted to lie inside."""
    return tuple(int(np.clip(round(c) - side // 2, 0, n - side)) for c, n in zip(center, size, strict=True))
