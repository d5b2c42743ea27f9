"""Regions of a photo's activation maps, which are matched without descriptors: the channel is the visual word."""

from dataclasses import dataclass

import numpy as np

from localize.types.checks import check_array, check_finite, check_range


@dataclass(frozen=True, eq=False)
class Regions:
    """Ellipses on the activation maps of one photo, at one or more scales of it.

    Frame: x right, y down, in cells of the map of the region's own level, the centre of the upper-left cell is
    (0.5, 0.5): times the photo's size, by the level's size, it is a pixel of the photo (up to the border that a network
    cuts). Rows are ordered by level, then by channel, and within one the strongest comes first.
    """

    centers: np.ndarray  # (N, 2) float32 cells, mean of the region's cells
    covariances: np.ndarray  # (N, 3) float32 cells^2: xx, xy, yy of the region's cells, positive definite
    channels: np.ndarray  # (N,) int16
    levels: np.ndarray  # (N,) int8, row of `sizes`
    strengths: np.ndarray  # (N,) float32, highest activation within the ellipse
    sizes: np.ndarray  # (L, 2) int16, height and width of the levels' maps in cells

    def __post_init__(self):
        n = len(check_array(self, "centers", np.float32, (None, 2)))
        check_array(self, "covariances", np.float32, (n, 3))
        check_array(self, "channels", np.int16, (n,))
        check_array(self, "levels", np.int8, (n,))
        check_array(self, "strengths", np.float32, (n,))
        check_array(self, "sizes", np.int16, (None, 2))
        check_finite(self, "centers", "covariances", "strengths")
        check_range(self, "channels", 0, 2**15)
        check_range(self, "levels", 0, len(self.sizes))
        xx, xy, yy = self.covariances.T.astype(np.float64)
        if not ((xx > 0) & (xx * yy - xy * xy > 0)).all():
            raise ValueError("Regions.covariances must be positive definite")
        if (np.diff(self.levels.astype(np.int64) * 2**15 + self.channels) < 0).any():
            raise ValueError("Regions must be ordered by level, then by channel")

    def __len__(self) -> int:
        return len(self.centers)
