"""3D points and where they were seen."""

from dataclasses import dataclass

import numpy as np

from localize.types.checks import check_array, check_finite, check_indptr, check_range
from localize.types.scenes import Camera, ImageList, Pose


@dataclass(frozen=True, eq=False)
class Map:
    """3D points and where they were seen. Observations of point p: rows indptr[p] to indptr[p + 1]."""

    images: ImageList
    points: np.ndarray  # (P, 3) float64 m
    indptr: np.ndarray  # (P + 1,) int64
    image: np.ndarray  # (M,) int32 into images
    keypoint: np.ndarray  # (M,) int32 into that image's Features

    def __post_init__(self):
        points = check_array(self, "points", np.float64, (None, 3))
        check_array(self, "indptr", np.int64, (len(points) + 1,))
        seen = len(check_array(self, "image", np.int32, (None,)))
        check_array(self, "keypoint", np.int32, (seen,))
        check_finite(self, "points")
        check_indptr(self, "indptr", seen)
        check_range(self, "image", 0, len(self.images))
        check_range(self, "keypoint", 0, 2**31)


@dataclass(frozen=True, eq=False)
class SourceModel:
    """A supplied 3D model as its files hold it. Observations of point p: rows indptr[p] to indptr[p + 1]."""

    names: tuple[str, ...]  # of the I images, as written there
    focal_px: np.ndarray  # (I,) float64
    radial: np.ndarray  # (I,) float64, first radial coefficient in COLMAP's sign; 0 = none
    rotations: np.ndarray  # (I, 3, 3) float64, cam_from_world
    translations: np.ndarray  # (I, 3) float64 m
    points: np.ndarray  # (P, 3) float64 m
    indptr: np.ndarray  # (P + 1,) int64
    image: np.ndarray  # (M,) int32 into names; one image may see a point several times
    keypoint: np.ndarray  # (M,) int32, row of the feature in the image's database entry
    xy: np.ndarray  # (M, 2) float32 px, COLMAP's convention
    cameras: tuple[Camera, ...] = ()  # one per image, or none where the file holds only focal_px and radial

    def __post_init__(self):
        i, p, m = len(self.names), len(self.points), len(self.image)
        for name, dtype, shape in (
            ("focal_px", np.float64, (i,)), ("radial", np.float64, (i,)), ("rotations", np.float64, (i, 3, 3)),
            ("translations", np.float64, (i, 3)), ("points", np.float64, (p, 3)), ("indptr", np.int64, (p + 1,)),
            ("image", np.int32, (m,)), ("keypoint", np.int32, (m,)), ("xy", np.float32, (m, 2)),
        ):  # fmt: skip
            check_array(self, name, dtype, shape)
        check_finite(self, "focal_px", "radial", "rotations", "translations", "points", "xy")
        check_indptr(self, "indptr", m)
        check_range(self, "image", 0, i)
        check_range(self, "keypoint", 0, 2**31)
        if len(self.cameras) not in (0, i):
            raise ValueError(f"SourceModel has {len(self.cameras)} cameras for {i} images")

    def pose(self, i: int) -> Pose:
        """cam_from_world of image i."""
        return Pose(self.rotations[i], self.translations[i])


@dataclass(frozen=True, eq=False)
class PointRows:
    """One row per observation of a 3D point, sorted by image; what the indexes are built on and searched in."""

    points: np.ndarray  # (P, 3) float64 m
    descriptors: np.ndarray  # (M, D) float16 or float32, unit length
    point: np.ndarray  # (M,) int32 into points
    image_indptr: np.ndarray  # (I + 1,) int64: rows of image i are image_indptr[i] to image_indptr[i + 1]

    def __post_init__(self):
        points = check_array(self, "points", np.float64, (None, 3))
        rows = len(check_array(self, "descriptors", None, (None, None)))
        check_array(self, "point", np.int32, (rows,))
        check_array(self, "image_indptr", np.int64, (None,))
        check_finite(self, "points")
        check_range(self, "point", 0, len(points))
        check_indptr(self, "image_indptr", rows)
