"""3D points by triangulation with the known reference poses (pycolmap's triangulator)."""

import pathlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, query_field
from localize.geometry.colmap import camera_rays, pycolmap, to_pycolmap_camera, to_pycolmap_pose
from localize.geometry.two_view import essential_matrix, sampson_error
from localize.mapping.pairs import PAIRS, check_number, model_of_pairs
from localize.types import ImageList, InputError, Map, PairMatches, Scene


@dataclass(frozen=True)
class Triangulation:
    """Matches that agree with the known epipolar geometry become tracks; tracks become points. Poses stay fixed.

    covisibility matches each reference with those that share most points of the model that came with the scene.
    """

    pairs: str = "retrieval"  # the most similar ones are matched; exhaustive: all; poses: nearest views; covisibility
    num_neighbours: int = 20  # each reference is matched with this many of them; few references: with all
    max_epipolar_error_px: float = 4.0  # of a match between two references, Sampson distance
    max_reprojection_error_px: float = 4.0  # of an observation
    min_angle_deg: float = 1.5  # between the rays of a point
    two_view_tracks: bool = True  # keep points seen twice only
    seed: int = 0
    trust_poses: bool = query_field(False)  # map references all the same whose poses contradict their photos

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("pycolmap",)

    def __post_init__(self):
        check_component(
            self,
            positive=("num_neighbours", "max_epipolar_error_px", "max_reprojection_error_px"),
            choices={"pairs": PAIRS},
        )

    def check_scene(self, scene: Scene) -> list[str]:
        """What the choice of pairs lacks: references few enough, or the supplied model whose points are counted."""
        try:
            if self.pairs == "exhaustive":
                check_number(len(scene.references))
            elif self.pairs == "covisibility":
                model_of_pairs(scene.supplied)
        except InputError as e:
            return list(e.problems)
        return []

    def verify(self, first, second, xy_first: np.ndarray, xy_second: np.ndarray) -> np.ndarray:
        """Which matches (M, 2), (M, 2) px of two images with poses lie on their epipolar lines, (M,) bool."""
        E = essential_matrix(first.pose, second.pose)
        error = sampson_error(E, camera_rays(first.camera, xy_first), camera_rays(second.camera, xy_second))
        focal_px = 0.5 * (first.camera.focal_px + second.camera.focal_px)
        return error * focal_px**2 <= self.max_epipolar_error_px**2  # NaN compares as False

    def build(
        self, images: ImageList, keypoints: Mapping[str, np.ndarray], matches: Mapping[tuple[str, str], PairMatches]
    ) -> Map:
        """Map; keypoints (N, 2) px by image name, matches by pair of names. InputError if no point comes out."""
        with tempfile.TemporaryDirectory(prefix="localize-") as folder:
            model = self._triangulate(images, keypoints, matches, pathlib.Path(folder))
        tracks = sorted(
            (sorted((e.image_id - 1, e.point2D_idx) for e in p.track.elements), tuple(p.xyz))
            for p in model.points3D.values()
        )
        if not tracks:
            raise InputError(
                f"no 3D point could be triangulated from {len(images)} references and "
                f"{sum(len(m.rows) for m in matches.values())} matches: check that the poses are camera-from-world, "
                "that the intrinsics belong to these photos, and that the photos overlap"
            )
        lengths = [len(track) for track, _ in tracks]
        observations = np.array([o for track, _ in tracks for o in track], np.int32)
        return Map(
            images=images,
            points=np.array([xyz for _, xyz in tracks]),
            indptr=np.concatenate([[0], np.cumsum(lengths)]),
            image=observations[:, 0],
            keypoint=observations[:, 1],
        )

    def _triangulate(self, images, keypoints, matches, folder: pathlib.Path):
        """pycolmap wants the matches in a database beside a model with poses; image ids count from 1."""
        ids = {image.name: i for i, image in enumerate(images, 1)}
        model = pycolmap.Reconstruction()
        with pycolmap.Database.open(str(folder / "database.db")) as database:
            for image in images:
                i, camera = ids[image.name], to_pycolmap_camera(image.camera, ids[image.name])
                xy = np.asarray(keypoints[image.name])
                database.write_camera(camera, use_camera_id=True)
                database.write_image(pycolmap.Image(name=image.name, camera_id=i, image_id=i), use_image_id=True)
                database.write_keypoints(i, xy.astype(np.float32))
                model.add_camera_with_trivial_rig(camera)
                points2d = xy.astype(np.float64).reshape(-1, 2)
                model.add_image_with_trivial_frame(
                    pycolmap.Image(name=image.name, keypoints=points2d, camera_id=i, image_id=i),
                    to_pycolmap_pose(image.pose),
                )
            for (first, second), pair in matches.items():
                xy = keypoints[first][pair.rows[:, 0]], keypoints[second][pair.rows[:, 1]]
                good = pair.rows[self.verify(images.by_name[first], images.by_name[second], *xy)]
                if len(good):  # config 2 = CALIBRATED: the default 0 is ignored without a word (pycolmap 4.2)
                    geometry = pycolmap.TwoViewGeometry(config=2, inlier_matches=good.astype(np.uint32))
                    database.write_two_view_geometry(ids[first], ids[second], geometry)
        return pycolmap.triangulate_points(
            model, str(folder / "database.db"), str(folder), str(folder), options=self._options()
        )

    def _options(self):
        options = pycolmap.IncrementalPipelineOptions()
        options.num_threads = 1  # same result whatever the machine
        options.random_seed = options.triangulation.random_seed = self.seed
        options.extract_colors = False
        options.min_num_matches = 1  # the pose is known: a pair with few matches is as good as any
        options.triangulation.ignore_two_view_tracks = not self.two_view_tracks
        options.triangulation.min_angle = options.mapper.filter_min_tri_angle = self.min_angle_deg
        options.triangulation.merge_max_reproj_error = self.max_reprojection_error_px
        options.triangulation.complete_max_reproj_error = self.max_reprojection_error_px
        options.mapper.filter_max_reproj_error = self.max_reprojection_error_px
        return options
