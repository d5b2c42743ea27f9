"""Structure from motion by pycolmap, on the product's own keypoints and matches."""

import pathlib
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.geometry.colmap import pycolmap, to_pycolmap_camera
from localize.kernels.threads import available_cores
from localize.reconstruction.base import Reconstructed
from localize.types import Camera, Image, ImageList, InputError, Map, PairMatches, Pose

PAIRS = ("retrieval", "exhaustive")
METHODS = ("incremental", "global")


@dataclass(frozen=True)
class StructureFromMotion:
    """Pairs are verified by their two-view geometry; then poses, cameras and points are found and adjusted together.

    incremental: photo after photo (Schonberger and Frahm, CVPR 2016); global: all at once (GLOMAP: Pan et al., ECCV
    2024), in less time for hundreds of photos, and only where focal lengths are about right.
    """

    method: str = "incremental"
    pairs: str = "retrieval"  # the most similar ones; exhaustive: all
    num_neighbours: int = 20  # each photo is matched with this many of them; few photos: with all
    min_pair_inliers: int = 15  # of two photos whose matches count
    max_error_px: float = 4.0  # of a match and, where incremental, of an observation
    min_model_size: int = 3  # photos
    refine_focal: bool = True
    refine_distortion: bool = True
    threads: int = 1  # that adjust: more gain something with hundreds of photos, and round otherwise
    seed: int = 0

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("pycolmap",)
    RANGES: ClassVar[dict] = {"min_model_size": (2, 10**6), "num_neighbours": (1, 10**6)}

    def __post_init__(self):
        check_component(
            self,
            positive=("min_pair_inliers", "max_error_px", "threads"),
            choices={"pairs": PAIRS, "method": METHODS},
        )

    def reconstruct(
        self,
        images: ImageList,
        keypoints: Mapping[str, np.ndarray],
        matches: Mapping[tuple[str, str], PairMatches],
    ) -> Reconstructed:
        """The largest model. Pairs are verified on all cores, and the result does not depend on their number."""
        number = {name: i + 1 for i, name in enumerate(images.names)}
        with tempfile.TemporaryDirectory(prefix="localize-sfm-") as temporary:
            database = pathlib.Path(temporary) / "database.db"
            found = self._matched(database, images, number, keypoints, matches)
            verified = self._verified(database)
            models = self._models(database, pathlib.Path(temporary)) if verified else []
        if not models:
            raise InputError(_no_model(images, found, verified))
        largest = max(models, key=lambda model: model.num_reg_images())
        made = _map(images, largest)
        others = {
            images.names[i - 1]: model.num_reg_images() - 1
            for model in models
            if model is not largest
            for i in model.reg_image_ids()
        }
        why = _left_out(images, made.images.by_name.keys(), found, _partners(verified, images), others)
        return Reconstructed(made, float(largest.compute_mean_reprojection_error()), why)

    def _matched(self, path: pathlib.Path, images: ImageList, number: dict, keypoints, matches) -> dict:
        """Write cameras, keypoints and matches into a database; returns how many matches each pair has."""
        cameras, counts = {}, {}
        with pycolmap.Database.open(str(path)) as database:
            for image in images:
                device = image.taken.device if image.taken else image.name
                if device not in cameras:
                    cameras[device] = len(cameras) + 1
                    camera = to_pycolmap_camera(image.camera, cameras[device])
                    camera.has_prior_focal_length = image.prior is None or image.prior.focal != "unknown"
                    database.write_camera(camera, use_camera_id=True)
                ids = {"name": image.name, "camera_id": cameras[device], "image_id": number[image.name]}
                database.write_image(pycolmap.Image(**ids), use_image_id=True)
                database.write_keypoints(number[image.name], np.asarray(keypoints[image.name], np.float32))
            for (first, second), pair in matches.items():
                counts[first, second] = len(pair.rows)
                if len(pair.rows) >= self.min_pair_inliers:
                    database.write_matches(number[first], number[second], pair.rows.astype(np.uint32))
        return counts

    def _verified(self, database: pathlib.Path) -> dict[tuple[int, int], int]:
        """Verify the pairs in the database; inliers by pair of numbers of those that pass."""
        verifier, two_view = pycolmap.GeometricVerifierOptions(), pycolmap.TwoViewGeometryOptions()
        verifier.num_threads = available_cores()
        two_view.min_num_inliers, two_view.ransac.max_error = self.min_pair_inliers, self.max_error_px
        two_view.ransac.random_seed = self.seed
        pycolmap.geometric_verification(str(database), verifier, two_view_geometry_options=two_view)
        with pycolmap.Database.open(str(database)) as opened:
            pairs, inliers = opened.read_two_view_geometry_num_inliers()
        return {
            pycolmap.pair_id_to_image_pair(pair): count
            for pair, count in zip(pairs, inliers, strict=True)
            if count >= self.min_pair_inliers
        }

    def _models(self, database: pathlib.Path, folder: pathlib.Path) -> list:
        where = str(database), str(folder), str(folder)
        if self.method == "global":
            options = pycolmap.GlobalPipelineOptions()
            options.num_threads, options.random_seed = self.threads, self.seed
            options.min_num_matches, options.min_model_size = self.min_pair_inliers, self.min_model_size
            adjusted = options.mapper.bundle_adjustment
            adjusted.refine_focal_length, adjusted.refine_extra_params = self.refine_focal, self.refine_distortion
            return list(pycolmap.global_mapping(*where, options).values())
        options = pycolmap.IncrementalPipelineOptions()
        options.num_threads, options.extract_colors = self.threads, False
        options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = self.seed
        options.min_num_matches, options.min_model_size = self.min_pair_inliers, self.min_model_size
        options.ba_refine_focal_length = self.refine_focal
        options.ba_refine_extra_params = self.refine_distortion
        options.mapper.filter_max_reproj_error = self.max_error_px
        return list(pycolmap.incremental_mapping(*where, options).values())


def _map(images: ImageList, model) -> Map:
    """A model of pycolmap's; its points in the order of their first observations."""
    numbers = sorted(model.reg_image_ids())
    row = {number: i for i, number in enumerate(numbers)}
    tracks = sorted(
        (sorted((row[e.image_id], e.point2D_idx) for e in point.track.elements), tuple(point.xyz))
        for point in model.points3D.values()
    )
    seen = [observation for track, _ in tracks for observation in track]
    image, keypoint = np.array(seen, np.int32).reshape(-1, 2).T
    indptr = np.concatenate([[0], np.cumsum([len(track) for track, _ in tracks], dtype=np.int64)])
    placed = ImageList(_placed(images.images[number - 1], model, number) for number in numbers)
    return Map(placed, np.array([xyz for _, xyz in tracks]).reshape(-1, 3), indptr, image, keypoint)


def _placed(image: Image, model, number: int) -> Image:
    """The image with its pose and its refined camera."""
    found = model.images[number]
    camera, pose = model.cameras[found.camera_id], found.cam_from_world()
    refined = Camera(camera.model.name, camera.width, camera.height, np.array(camera.params))
    return Image(
        image.name, refined, Pose(pose.rotation.matrix(), np.array(pose.translation)), image.tags, image.groups
    )


def _partners(verified: dict[tuple[int, int], int], images: ImageList) -> dict[str, list[str]]:
    """The photos that each photo is verified to share a view with."""
    found = defaultdict(list)
    for first, second in verified:
        a, b = images.names[first - 1], images.names[second - 1]
        found[a].append(b)
        found[b].append(a)
    return found


def _left_out(images: ImageList, posed: Collection[str], found: dict, partners: dict, others: dict) -> dict[str, str]:
    """Why each photo that is not in the model is not."""
    most = Counter()
    for (first, second), count in found.items():
        most[first], most[second] = max(most[first], count), max(most[second], count)
    said = {}
    for name in images.names:
        if name in posed:
            continue
        inside = sum(partner in posed for partner in partners.get(name, ()))
        if name in others:
            said[name] = f"it is connected with {others[name]} other photos, but not with the largest model"
        elif not partners.get(name):
            said[name] = f"no other photo shows the same (at most {most[name]} matches, none verified)"
        else:
            said[name] = f"it shares a view with {inside} photos of the model, but sees too few of its points"
    return said


def _no_model(images: ImageList, found: dict, verified: dict) -> str:
    matched = sum(count > 0 for count in found.values())
    return (
        f"structure from motion found no model of {len(images)} photos: of {matched} pairs with matches "
        f"{len(verified)} were verified to show the same place; the photos must overlap (each spot in three of them or "
        "more), be taken from different places, not only turned on the spot, and be sharp"
    )
