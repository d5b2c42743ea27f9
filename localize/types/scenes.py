"""Cameras, poses, photos, and the scene a dataset adapter returns."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from localize.types.checks import InputError, check_array, check_finite
from localize.types.priors import Prior

# COLMAP camera models and their number of parameters.
CAMERA_MODELS = {
    "SIMPLE_PINHOLE": 3, "PINHOLE": 4, "SIMPLE_RADIAL": 4, "RADIAL": 5, "OPENCV": 8, "OPENCV_FISHEYE": 8,
    "FULL_OPENCV": 12, "FOV": 5, "SIMPLE_RADIAL_FISHEYE": 4, "RADIAL_FISHEYE": 5, "THIN_PRISM_FISHEYE": 12,
    "RAD_TAN_THIN_PRISM_FISHEYE": 16, "SIMPLE_DIVISION": 4, "DIVISION": 5, "SIMPLE_FISHEYE": 3, "FISHEYE": 4, "EUCM": 6,
}  # fmt: skip
MOST_PX = 10**6  # a side of a photo
THRESHOLDS_M = ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))  # metres, degrees: the benchmarks' usual ones
NO_UNIT = "units"  # of the map, where nothing says how long they are
PANORAMA = "EQUIRECTANGULAR"  # COLMAP's camera without a plane of the picture


@dataclass(frozen=True, eq=False)
class Camera:
    """Intrinsics: COLMAP model name, size in pixels, parameters in COLMAP's order and pixel convention."""

    model: str
    width: int
    height: int
    params: np.ndarray  # (P,) float64

    def __post_init__(self):
        if self.model == PANORAMA:
            raise ValueError("EQUIRECTANGULAR pictures are not supported: cut them into perspective views")
        if self.model not in CAMERA_MODELS:
            raise ValueError(f"unknown camera model {self.model!r}; known: {', '.join(CAMERA_MODELS)}")
        params = check_array(self, "params", np.float64, (None,))
        if len(params) != CAMERA_MODELS[self.model]:
            raise ValueError(f"{self.model} takes {CAMERA_MODELS[self.model]} parameters, but {len(params)} were given")
        check_finite(self, "params")
        for name in ("width", "height"):
            value = getattr(self, name)
            if not 1 <= value <= MOST_PX or value != int(value):
                raise ValueError(f"the camera's {name} is {value!r} px, but must be a whole number of 1 to {MOST_PX}")
            object.__setattr__(self, name, int(value))
        if not (self.focals_px > 0).all():
            said = " and ".join(f"{f:g}" for f in self.focals_px)
            raise ValueError(
                f"focal length {said} px, but it must be positive: x points right, y down, z into the scene; where it "
                "was negative an axis points the other way, in the poses too"
            )

    @property
    def focals_px(self) -> np.ndarray:
        """(1,) or (2,) focal lengths: f, or fx and fy."""
        return self.params[: 1 if self.model.startswith("SIMPLE_") or self.model in ("RADIAL", "RADIAL_FISHEYE") else 2]

    @property
    def principal_point(self) -> np.ndarray:
        """(2,) px."""
        return self.params[len(self.focals_px) :][:2]

    @property
    def focal_px(self) -> float:
        """Mean focal length in pixels."""
        return float(self.focals_px.mean())

    @property
    def px_of_1600(self) -> float:
        """How many px are as much of this photo as one is of a photo whose longer side is 1600 px.

        Thresholds are set for that size: 12 px are twice as much of the photo at 800 px, and chance knows that.
        """
        return max(self.width, self.height) / 1600


@dataclass(frozen=True, eq=False)
class Pose:
    """cam_from_world: X_cam = rotation X_world + translation (metres)."""

    rotation: np.ndarray  # (3, 3) float64
    translation: np.ndarray  # (3,) float64

    def __post_init__(self):
        R = check_array(self, "rotation", np.float64, (3, 3))
        check_array(self, "translation", np.float64, (3,))
        check_finite(self, "rotation", "translation")
        if abs(np.linalg.det(R) - 1) > 1e-6 or np.abs(R @ R.T - np.eye(3)).max() > 1e-6:
            raise ValueError(f"not a rotation matrix (determinant {np.linalg.det(R):.6f}): {R.tolist()}")

    @property
    def center(self) -> np.ndarray:
        """Camera centre in the world, (3,) metres."""
        return -self.rotation.T @ self.translation


@dataclass(frozen=True, eq=False)
class Mounted:
    """Photos of one group were taken at one moment by cameras whose relative poses are known: a rig.

    A sequence is the same over a window: its photos count as one rig with those taken just before and after them.
    """

    group: str
    cam_from_rig: Pose  # metres; the rig's frame is any that the group shares
    at: int = 0  # place in time of a photo of a sequence
    window: int = 0  # so many photos in a row of a sequence are one rig; 0: the group is a rig


@dataclass(frozen=True, eq=False)
class Taken:
    """How a photo says that it was taken, for what finds the poses and intrinsics of photos that have none."""

    device: str  # photos of one device, at one zoom and size, have one camera
    down: tuple[int, int] = (0, 1)  # where down is in the pixels as stored (x right, y down), by EXIF's orientation
    position: np.ndarray | None = None  # (3,) latitude and longitude in degrees, altitude in m (NaN: not known); WGS 84

    def __post_init__(self):
        if self.position is not None:
            check_array(self, "position", np.float64, (3,))

    @property
    def by_exif(self) -> bool:
        """Whether EXIF names the device; else all that is known is the photo's size."""
        return " " in self.device


@dataclass(frozen=True, eq=False)
class Image:
    """A photo's name (POSIX, relative to its folder), its camera, its pose where known, tags such as `night`."""

    name: str
    camera: Camera
    pose: Pose | None = None
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # retrieval stays among references that share one; none: among all
    prior: Prior | None = None  # what a query knows about itself
    mounted: Mounted | None = None  # where it was among the photos of its moment, where that is known
    taken: Taken | None = None  # of a photo whose pose or intrinsics are still to be found


def repeated_names(names) -> list[str]:
    """One sentence for each name that is listed more than once."""
    counts = Counter(names)
    return [f"image name {n} is listed {k} times; names must be unique" for n, k in sorted(counts.items()) if k > 1]


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images in a fixed order, with unique names; `names` are those in order, `by_name` finds an image."""

    images: tuple[Image, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "by_name", {image.name: image for image in self.images})
        object.__setattr__(self, "names", tuple(image.name for image in self.images))
        if len(self.by_name) != len(self.images):
            raise InputError(*repeated_names(self.names))

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class ModelFiles:
    """A 3D model that came with the dataset, and the COLMAP database whose keypoints its observations count."""

    model: str  # NVM file, or folder of a COLMAP model
    names: dict[str, str]  # image name -> its name in the model
    database: str | None = None  # None: the observations count the keypoints of the feature itself


@dataclass(frozen=True, eq=False)
class Unposed:
    """The references have no poses yet: structure from motion is to find them. What decides their frame."""

    distance: tuple[str, str, float] | None = None  # between the cameras of two references
    gps: bool = True  # whether the photos' positions may give the frame, in metres, x east, y north, z up
    held_out: bool = False  # the queries are references held out, whose true poses are to be found too
    percent: tuple = ((0.1, 0.25), (0.5, 1.0), (5.0, 10.0))  # thresholds where nothing tells the scale: % of the extent


@dataclass(frozen=True, eq=False)
class Submission:
    """How a benchmark's server wants the poses: one file of lines `name qw qx qy qz tx ty tz`."""

    file_name: str  # with {method} in it
    names: dict[str, str]  # query name -> its name in the file; a query that is not here is not asked for


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a dataset adapter returns; no pixels. Queries never carry poses: `ground_truth` does."""

    name: str
    image_root: str
    references: ImageList  # with poses
    queries: ImageList = field(default_factory=ImageList)
    query_root: str | None = None  # None: the queries lie in image_root too
    masks: str | None = None  # folder of NAME.png, or one picture for all photos: black is ignored
    ground_truth: ImageList | None = None  # queries with poses
    thresholds: tuple[tuple[float, float], ...] = THRESHOLDS_M  # (unit, degrees)
    tag_thresholds: dict[str, tuple] = field(default_factory=dict)  # as many pairs, for queries of this tag
    supplied: ModelFiles | None = None
    submission: Submission | None = None
    unit: str = "m"  # of all lengths, those of the map and of the thresholds; NO_UNIT: not known
    unposed: Unposed | None = None  # the references have no poses yet
    notes: tuple[str, ...] = ()  # what is to be said of it beside its results, one sentence each

    def __post_init__(self):
        object.__setattr__(self, "thresholds", _bounds(self.thresholds))
        own = {tag: _bounds(pairs) for tag, pairs in self.tag_thresholds.items()}
        for tag, pairs in own.items():
            if len(pairs) != len(self.thresholds):
                raise InputError(f"{len(pairs)} thresholds for {tag}, but {len(self.thresholds)} for all: give as many")
        object.__setattr__(self, "tag_thresholds", own)

    def mixed_up_by(self, what: str) -> list[str]:
        """A sentence if a query and a reference, in folders of their own, share a name and `what` knows only names."""
        shared = [name for name in self.queries.names if name in self.references.by_name]
        if not shared:
            return []
        return [
            f"{len(shared)} queries have names of references, such as {shared[0]}, and {what} cannot tell these photos "
            "apart: name them from one folder above both"
        ]


def _bounds(thresholds) -> tuple[tuple[float, float], ...]:
    try:
        bounds = np.array(thresholds, np.float64)
    except (ValueError, TypeError):
        bounds = np.zeros(0)
    if bounds.ndim != 2 or bounds.shape[1] != 2 or not (bounds > 0).all():
        raise InputError(
            f"thresholds are {thresholds}, but must be pairs of metres and degrees, all above 0, or of the unit that "
            "dataset.unit names and degrees"
        )
    return tuple(map(tuple, bounds.tolist()))
