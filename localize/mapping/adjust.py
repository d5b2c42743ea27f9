"""Bundle adjustment of some photos among others whose poses stay as they are (pycolmap, Ceres).

The poses that stay hold the frame and the scale. Only points that a free photo sees take part; they move too. A wrong
match becomes a point wherever it lies near the epipolar line, so points of three views and more are taken, of two only
for a photo that has few others. Minitown, half of its references free: a median error of 2.3 cm instead of 2.9 cm with
all points, and of 3.8 cm with a loss as wide as 2.5 px. Triggs et al., "Bundle adjustment: a modern synthesis", 1999.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import pycolmap, to_pycolmap_camera, to_pycolmap_pose
from localize.geometry.poses import nearest_rotation
from localize.types import Camera, Map, Pose
from localize.types.checks import check_array

LOSS_PX = 0.75  # Cauchy's: residuals of more weigh less; of a photo of 1600 px
FEW = 20  # points of three views; a photo with fewer takes those of two too
ITERATIONS = 50


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Poses and cameras of the N free photos after the adjustment, and how well their points fit."""

    names: tuple[str, ...]
    rotations: np.ndarray  # (N, 3, 3) float64, cam_from_world
    translations: np.ndarray  # (N, 3) float64
    cameras: tuple[Camera, ...]
    seen: np.ndarray  # (N,) int64 points that each sees
    error_px: np.ndarray  # (N,) float64 median reprojection error of these; NaN: none

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        n = len(self.names)
        check_array(self, "rotations", np.float64, (n, 3, 3))
        check_array(self, "translations", np.float64, (n, 3))
        check_array(self, "seen", np.int64, (n,))
        check_array(self, "error_px", np.float64, (n,))

    def pose(self, i: int) -> Pose:
        """Of photo i."""
        return Pose(nearest_rotation(self.rotations[i]), self.translations[i])


def adjust(
    tracks: Map, keypoints: Mapping[str, np.ndarray], free: Sequence[str], lenses: Mapping[str, str]
) -> Adjusted:
    """Poses of the free photos by the points that they see, and by all other photos that see these.

    tracks: with images that have poses; keypoints: (N, 2) px by name. lenses: by name of free photos whose focal length
    and distortion are adjusted too; photos of one lens share them, and start at those of the first. Without a point
    a photo keeps its pose.
    """
    number = {name: i for i, name in enumerate(tracks.images.names)}
    moving = np.zeros(len(number), bool)
    moving[[number[name] for name in free]] = True
    point = np.repeat(np.arange(len(tracks.points)), np.diff(tracks.indptr))
    own = np.flatnonzero(_taking_part(tracks, point, moving)[point])
    model, camera_of = _model(tracks, keypoints, point[own], own, lenses)
    if len(own):
        config = pycolmap.BundleAdjustmentConfig()
        adjusted_lenses = {camera_of[name] for name in lenses if name in camera_of}
        for image_id, image in model.images.items():
            config.add_image(image_id)
            if not moving[image_id - 1]:
                config.set_constant_rig_from_world_pose(image.frame_id)
            if image.camera_id not in adjusted_lenses:
                config.set_constant_cam_intrinsics(image.camera_id)
        loss_px = LOSS_PX * np.median([tracks.images.by_name[name].camera.px_of_1600 for name in free])
        pycolmap.create_default_bundle_adjuster(_options(loss_px), config, model).solve()
    found = [_of_image(model, number[name] + 1, tracks, keypoints, name) for name in free]
    rotations, translations, cameras, seen, errors = zip(*found, strict=True) if found else ([],) * 5
    columns = np.reshape(rotations, (-1, 3, 3)), np.reshape(translations, (-1, 3)), tuple(cameras), seen, errors
    return Adjusted(tuple(free), *columns)


def _taking_part(tracks: Map, point: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Which points (P,) bool the free photos see with two others, or with one where they have few such."""
    several, free = np.diff(tracks.indptr) >= 3, moving[tracks.image]
    seen = np.bincount(tracks.image[several[point]], minlength=len(moving))
    taken = free & (several[point] | (seen < FEW)[tracks.image])
    return np.isin(np.arange(len(several)), point[taken])


def _model(tracks: Map, keypoints, point: np.ndarray, own: np.ndarray, lenses: Mapping[str, str]):
    """pycolmap's model of these observations, image ids counting from 1, and the camera id of each image in it."""
    model, at, camera_of = pycolmap.Reconstruction(), np.zeros(len(own), int), {}
    of_lens: dict[str, int] = {}
    order = np.argsort(tracks.image[own], kind="stable")
    numbers, starts = np.unique(tracks.image[own[order]], return_index=True)
    for i, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=False):
        image, at[rows] = tracks.images.images[i], np.arange(len(rows))
        camera_id = of_lens.setdefault(lenses[image.name], i + 1) if image.name in lenses else i + 1
        camera_of[image.name] = camera_id
        if camera_id == i + 1:
            model.add_camera_with_trivial_rig(to_pycolmap_camera(image.camera, camera_id))
        xy = np.asarray(keypoints[image.name], np.float64)[tracks.keypoint[own[rows]]]
        made = pycolmap.Image(name=image.name, camera_id=camera_id, image_id=i + 1, keypoints=xy)
        model.add_image_with_trivial_frame(made, to_pycolmap_pose(image.pose))
    bounds = np.flatnonzero(np.diff(point, prepend=-1))
    for start, end in itertools.pairwise([*bounds, len(point)]):
        track = pycolmap.Track()
        for row in range(start, end):
            track.add_element(int(tracks.image[own[row]]) + 1, int(at[row]))
        model.add_point3D(tracks.points[point[start]], track)
    return model, camera_of


def _options(loss_px: float):
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_focal_length = options.refine_extra_params = True  # of the cameras that are not held
    options.ceres.loss_function_type, options.ceres.loss_function_scale = pycolmap.LossFunctionType.CAUCHY, loss_px
    options.ceres.solver_options.max_num_iterations = ITERATIONS
    options.ceres.solver_options.function_tolerance = 1e-7
    options.ceres.solver_options.num_threads = 1  # same result whatever the machine
    return options


def _of_image(model, image_id: int, tracks: Map, keypoints, name: str):
    """(rotation, translation, camera, points seen, median error px) of a free photo."""
    given = tracks.images.by_name[name]
    if image_id not in model.images:
        return given.pose.rotation, given.pose.translation, given.camera, 0, np.nan
    image = model.image(image_id)
    camera, (rotation, translation) = image.camera, _parts(image.cam_from_world())
    seen = [p for p in image.points2D if p.has_point3D()]
    in_camera = np.array([model.point3D(p.point3D_id).xyz for p in seen]) @ rotation.T + translation
    projected = np.asarray(camera.img_from_cam(in_camera)).reshape(-1, 2)
    error = np.linalg.norm(projected - np.array([p.xy for p in seen]), axis=1)
    error[in_camera[:, 2] <= 0] = np.inf
    lens = Camera(given.camera.model, given.camera.width, given.camera.height, np.array(camera.params))
    return rotation, translation, lens, len(seen), float(np.median(error))


def _parts(rigid) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.asarray(rigid.matrix())
    return matrix[:, :3], matrix[:, 3]
