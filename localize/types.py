"""The records that flow between the stages, and their checks. Nothing but numpy is imported here.

Conventions, everywhere inside the package:

* pixels: x right, y down, the centre of the upper-left pixel is (0.5, 0.5), at original image size;
* poses: `cam_from_world`, X_cam = R X_world + t, metres;
* a failed estimate is `None`, never an identity pose.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

LEAF, FRAME = 1, 2  # bits of Matches2D3D.source: found through a prior leaf, a prior frame, or both

# COLMAP camera models and their number of parameters.
CAMERA_MODELS = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12, "FOV": 5, "SIMPLE_RADIAL_FISHEYE": 4, "RADIAL_FISHEYE": 5, "THIN_PRISM_FISHEYE": 12,
    "RAD_TAN_THIN_PRISM_FISHEYE": 16,
}  # fmt: skip


class InputError(ValueError):
    """What the user gave cannot be used; one sentence per problem says what, where and what to do."""

    def __init__(self, *problems: str):
        self.problems = problems
        super().__init__("\n".join(problems))


class StoreError(RuntimeError):
    """Stored results cannot be read or written; the sentence says where and what to do."""


def _array(owner, name: str, dtype, shape: tuple) -> np.ndarray:
    """Store a field as an array of this dtype and shape; None in the shape stands for any length."""
    value = np.asarray(getattr(owner, name))
    value = value if dtype is None else value.astype(dtype, copy=False)
    if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape, strict=False)):
        wanted = "(" + ", ".join("N" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{type(owner).__name__}.{name} has shape {value.shape}, but expected {wanted}")
    object.__setattr__(owner, name, value)
    return value


def _finite(owner, *names: str) -> None:
    for name in names:
        if not np.isfinite(getattr(owner, name)).all():
            raise ValueError(f"{type(owner).__name__}.{name} holds NaN or infinite values")


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics: COLMAP model name, size in pixels, parameters in COLMAP's order and pixel convention."""

    model: str
    width: int
    height: int
    params: np.ndarray  # (P,) float64

    def __post_init__(self):
        if self.model not in CAMERA_MODELS:
            raise ValueError(f"unknown camera model {self.model!r}; known: {', '.join(CAMERA_MODELS)}")
        params = _array(self, "params", np.float64, (None,))
        if len(params) != CAMERA_MODELS[self.model]:
            raise ValueError(f"{self.model} takes {CAMERA_MODELS[self.model]} parameters, but {len(params)} were given")
        _finite(self, "params")
        if self.width < 1 or self.height < 1 or params[0] <= 0:
            raise ValueError(f"camera of {self.width} x {self.height} px, focal length {params[0]}: must be positive")

    @property
    def focal_px(self) -> float:
        """Mean focal length in pixels."""
        two = self.model not in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
        return float(self.params[:2].mean() if two else self.params[0])


@dataclass(frozen=True, eq=False)
class Pose:
    """cam_from_world: X_cam = rotation X_world + translation (metres)."""

    rotation: np.ndarray  # (3, 3) float64
    translation: np.ndarray  # (3,) float64

    def __post_init__(self):
        R = _array(self, "rotation", np.float64, (3, 3))
        _array(self, "translation", np.float64, (3,))
        _finite(self, "rotation", "translation")
        if abs(np.linalg.det(R) - 1) > 1e-6 or np.abs(R @ R.T - np.eye(3)).max() > 1e-6:
            raise ValueError(f"not a rotation matrix (determinant {np.linalg.det(R):.6f}): {R.tolist()}")

    @property
    def center(self) -> np.ndarray:
        """Camera centre in the world, (3,) metres."""
        return -self.rotation.T @ self.translation


@dataclass(frozen=True, eq=False)
class Image:
    """A photo's name (POSIX, relative to its folder), its camera, its pose where known, tags such as `night`."""

    name: str
    camera: Camera
    pose: Pose | None = None
    tags: tuple[str, ...] = ()


def repeated_names(names) -> list[str]:
    """One sentence for each name that is listed more than once."""
    counts = Counter(names)
    return [f"image name {n} is listed {k} times; names must be unique" for n, k in sorted(counts.items()) if k > 1]


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images in a fixed order, with unique names."""

    images: tuple[Image, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "by_name", {image.name: image for image in self.images})
        if len(self.by_name) != len(self.images):
            raise InputError(*repeated_names(self.names))

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(image.name for image in self.images)

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a dataset adapter returns; no pixels. Queries never carry poses: `ground_truth` does."""

    name: str
    image_root: str
    references: ImageList  # with poses
    queries: ImageList = field(default_factory=ImageList)
    query_root: str | None = None  # None: the queries lie in image_root too
    ground_truth: ImageList | None = None  # queries with poses
    thresholds: tuple[tuple[float, float], ...] = ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))  # (metres, degrees)

    def __post_init__(self):
        try:
            bounds = np.array(self.thresholds, np.float64)
        except (ValueError, TypeError):
            bounds = np.zeros(0)
        if bounds.ndim != 2 or bounds.shape[1] != 2 or not (bounds > 0).all():
            raise InputError(f"thresholds are {self.thresholds}, but must be pairs of metres and degrees, all above 0")
        object.__setattr__(self, "thresholds", tuple(map(tuple, bounds.tolist())))


@dataclass(frozen=True, eq=False)
class Features:
    """Local features of one image."""

    keypoints: np.ndarray  # (N, 2) float32 px
    descriptors: np.ndarray  # (N, D) float16 or float32, unit length
    scores: np.ndarray  # (N,) float32, higher is better
    scales: np.ndarray | None = None  # (N,) float32, sigma of the Gaussian in px of the original image
    orientations: np.ndarray | None = None  # (N,) float32 rad, 0 = gradient to the right, +pi/2 = down

    def __post_init__(self):
        n = len(_array(self, "keypoints", np.float32, (None, 2)))
        _array(self, "descriptors", None, (n, None))
        _array(self, "scores", np.float32, (n,))
        for name in ("scales", "orientations"):
            if getattr(self, name) is not None:
                _array(self, name, np.float32, (n,))
                _finite(self, name)
        _finite(self, "keypoints", "descriptors", "scores")

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True, eq=False)
class GlobalVector:
    """Global descriptor of one image."""

    vector: np.ndarray  # (D,) float32, unit length or all zeros

    def __post_init__(self):
        _array(self, "vector", np.float32, (None,))
        _finite(self, "vector")


@dataclass(frozen=True, eq=False)
class Retrieval:
    """For each query the most similar references, best first."""

    query_names: tuple[str, ...]
    reference_names: tuple[str, ...]
    index: np.ndarray  # (Q, K) int32 into reference_names, -1 = none
    score: np.ndarray  # (Q, K) float32, descending

    def __post_init__(self):
        _array(self, "index", np.int32, (len(self.query_names), None))
        _array(self, "score", np.float32, self.index.shape)


@dataclass(frozen=True, eq=False)
class PairMatches:
    """Matches between two images."""

    rows: np.ndarray  # (M, 2) int32, keypoint in the first and in the second image

    def __post_init__(self):
        _array(self, "rows", np.int32, (None, 2))


@dataclass(frozen=True, eq=False)
class Map:
    """3D points and where they were seen. Observations of point p: rows indptr[p] to indptr[p + 1]."""

    images: ImageList
    points: np.ndarray  # (P, 3) float64 m
    indptr: np.ndarray  # (P + 1,) int64
    image: np.ndarray  # (M,) int32 into images
    keypoint: np.ndarray  # (M,) int32 into that image's Features

    def __post_init__(self):
        points = _array(self, "points", np.float64, (None, 3))
        indptr = _array(self, "indptr", np.int64, (len(points) + 1,))
        _array(self, "image", np.int32, (int(indptr[-1]),))
        _array(self, "keypoint", np.int32, self.image.shape)
        _finite(self, "points")


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
            _array(self, name, dtype, shape)
        _finite(self, "focal_px", "radial", "rotations", "translations", "points", "xy")
        if self.indptr[0] != 0 or self.indptr[-1] != m or (self.indptr[1:] < self.indptr[:-1]).any():
            raise ValueError(f"SourceModel.indptr must rise from 0 to the number of observations, {m}")
        if m and (self.image.min() < 0 or self.image.max() >= i or self.keypoint.min() < 0):
            raise ValueError(f"SourceModel.image must be 0 to {i - 1} and SourceModel.keypoint at least 0")
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
        _array(self, "points", np.float64, (None, 3))
        rows = len(_array(self, "descriptors", None, (None, None)))
        _array(self, "point", np.int32, (rows,))
        _array(self, "image_indptr", np.int64, (None,))


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows of PointRows each query keypoint is compared with: its own (leaves), and those all share (frames).

    The frames' rows are the same for every keypoint and are kept once. Within each part no row comes twice.
    """

    indptr: np.ndarray  # (Q + 1,) int64
    rows: np.ndarray  # (C,) int32
    frame_rows: np.ndarray  # (F,) int32

    def __post_init__(self):
        indptr = _array(self, "indptr", np.int64, (None,))
        _array(self, "rows", np.int32, (int(indptr[-1]),))
        _array(self, "frame_rows", np.int32, (None,))


@dataclass(frozen=True, eq=False)
class Matches2D3D:
    """Keypoints of one query matched to 3D points, best first; M may be 0."""

    xy: np.ndarray  # (M, 2) float64 px
    xyz: np.ndarray  # (M, 3) float64 m
    keypoint: np.ndarray  # (M,) int32
    point: np.ndarray  # (M,) int32
    distance: np.ndarray  # (M,) float32, between unit descriptors
    source: np.ndarray  # (M,) uint8, bits LEAF and FRAME
    candidates_per_keypoint: float = 0.0  # mean number of distinct rows a keypoint was compared with

    def __post_init__(self):
        m = len(_array(self, "xy", np.float64, (None, 2)))
        _array(self, "xyz", np.float64, (m, 3))
        for name, dtype in (
            ("keypoint", np.int32),
            ("point", np.int32),
            ("distance", np.float32),
            ("source", np.uint8),
        ):
            _array(self, name, dtype, (m,))

    def __len__(self) -> int:
        return len(self.xy)


@dataclass(frozen=True, eq=False)
class PoseEstimate:
    """A pose, or None and the reason why there is none."""

    pose: Pose | None
    inliers: np.ndarray  # (M,) bool
    reason: str = ""  # why it failed; empty when it did not

    def __post_init__(self):
        _array(self, "inliers", bool, (None,))
        if self.pose is None and not self.reason:
            raise ValueError("a failed PoseEstimate must say why in `reason`")

    @property
    def num_matches(self) -> int:
        """Number of matches the estimate was made from."""
        return len(self.inliers)

    @property
    def num_inliers(self) -> int:
        """Number of matches that agree with the best pose, also where that was too few."""
        return int(self.inliers.sum())


@dataclass(frozen=True, eq=False)
class Report:
    """Errors per query (inf where it failed) and recall at the thresholds per condition, over ALL its queries."""

    query_names: tuple[str, ...]
    error_m: np.ndarray  # (Q,) float64
    error_deg: np.ndarray  # (Q,) float64
    thresholds: tuple[tuple[float, float], ...]
    conditions: tuple[str, ...]  # "all", then each tag
    recall: np.ndarray  # (conditions, thresholds) float64 in 0..1
    median_m: np.ndarray  # (conditions,) float64
    median_deg: np.ndarray  # (conditions,) float64
    num_queries: np.ndarray  # (conditions,) int64
    num_localized: np.ndarray  # (conditions,) int64
