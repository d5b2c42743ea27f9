"""3D points by triangulation with the known reference poses (pycolmap's triangulator)."""

import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from localize.components import check_component, query_field
from localize.geometry.colmap import camera_rays, pycolmap, to_pycolmap_camera, to_pycolmap_pose
from localize.geometry.two_view import essential_matrix, sampson_error
from localize.kernels.threads import available_cores, on_threads
from localize.mapping.match_blocks import FlatMatches
from localize.mapping.pairs import PAIRS, check_number, model_of_pairs
from localize.types import ImageList, InputError, Map, PairMatches, Scene

BLOCK = 500_000  # keypoints with matches that are triangulated at a time: about 0.6 GB
AT_ONCE = 8  # blocks at most, however many cores there are


class Tracks(NamedTuple):
    """Points and the observations of each, those of all points behind one another."""

    points: np.ndarray  # (P, 3) float64 m
    lengths: np.ndarray  # (P,) int64
    image: np.ndarray  # (M,) int32
    keypoint: np.ndarray  # (M,) int32


@dataclass(frozen=True)
class Triangulation:
    """Matches that agree with the known epipolar geometry become tracks; tracks become points. Poses stay fixed.

    covisibility matches each reference with those that share most points of the model that came with the scene, frusta
    with those whose fields of view overlap most, by their poses.
    """

    pairs: str = "retrieval"  # the most similar ones; exhaustive: all; poses: nearest views; covisibility; frusta
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
            elif self.pairs == "covisibility" or (self.pairs == "frusta" and scene.supplied is not None):
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
        """Map; keypoints (N, 2) px by image name, matches by pair of names. InputError if no point comes out.

        Beside the result, memory is that of the matches and of a block of BLOCK keypoints on each core, AT_ONCE at
        most; the result does not depend on their number. pycolmap lets go of the interpreter's lock while it
        triangulates, 70 % of the work; threads take turns to fill its databases and to read its points. Several blocks
        give the tracks of one, but for a few in a thousand that lie at a threshold, as each is adjusted until it
        changes little itself.
        """
        verified, given = self._verified(images, keypoints, matches)
        blocks = verified.blocks(np.array([len(keypoints[name]) for name in images.names]), BLOCK)
        del verified

        def work(block: FlatMatches) -> Tracks:
            with tempfile.TemporaryDirectory(prefix="localize-") as folder:
                return self._triangulate(images, keypoints, block, pathlib.Path(folder))

        tracks = on_threads(work, blocks, min(available_cores(), AT_ONCE))
        if not any(len(part.points) for part in tracks):
            raise InputError(
                f"no 3D point could be triangulated from {len(images)} references and {given} matches: check that the "
                "poses are camera-from-world, that the intrinsics belong to these photos, and that the photos overlap"
            )
        return _map(images, tracks)

    def _verified(self, images: ImageList, keypoints, matches) -> tuple[FlatMatches, int]:
        """The matches that agree with the poses, and how many were given."""
        number, given = {name: i for i, name in enumerate(images.names)}, 0

        def checked() -> Iterator[tuple[int, int, np.ndarray]]:
            nonlocal given
            for (first, second), pair in matches.items():
                given += len(pair.rows)
                xy = keypoints[first][pair.rows[:, 0]], keypoints[second][pair.rows[:, 1]]
                good = self.verify(images.by_name[first], images.by_name[second], *xy)
                yield number[first], number[second], pair.rows[good]

        return FlatMatches.of(checked()), given

    def _triangulate(self, images: ImageList, keypoints, block: FlatMatches, folder: pathlib.Path) -> Tracks:
        """pycolmap wants the matches in a database beside a model with poses; image ids count from 1."""
        used = block.keypoints()
        model = pycolmap.Reconstruction()
        with pycolmap.Database.open(str(folder / "database.db")) as database:
            for i, rows in used.items():
                image = images.images[i]
                camera = to_pycolmap_camera(image.camera, i + 1)
                xy = np.asarray(keypoints[image.name])[rows].reshape(-1, 2)
                ids = {"name": image.name, "camera_id": i + 1, "image_id": i + 1}
                database.write_camera(camera, use_camera_id=True)
                database.write_image(pycolmap.Image(**ids), use_image_id=True)
                database.write_keypoints(i + 1, xy.astype(np.float32))
                model.add_camera_with_trivial_rig(camera)
                with_points = pycolmap.Image(**ids, keypoints=xy.astype(np.float64))
                model.add_image_with_trivial_frame(with_points, to_pycolmap_pose(image.pose))
            for first, second, rows in block:
                own = [np.searchsorted(used[i], rows[:, k]) for k, i in enumerate((first, second))]
                # config 2 = CALIBRATED: the default 0 is ignored without a word (pycolmap 4.2)
                geometry = pycolmap.TwoViewGeometry(config=2, inlier_matches=np.column_stack(own).astype(np.uint32))
                database.write_two_view_geometry(first + 1, second + 1, geometry)
        where = str(folder / "database.db"), str(folder), str(folder)
        return _tracks(pycolmap.triangulate_points(model, *where, options=self._options()), used)

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


def _tracks(model, used: dict[int, np.ndarray]) -> Tracks:
    """The points of pycolmap's model; used: which keypoints of each image it was given."""
    xyz, lengths, seen = [], [], []
    for point in model.points3D.values():
        track = sorted((e.image_id - 1, used[e.image_id - 1][e.point2D_idx]) for e in point.track.elements)
        xyz.append(point.xyz)
        lengths.append(len(track))
        seen.extend(track)
    image, keypoint = np.array(seen, np.int32).reshape(-1, 2).T
    return Tracks(np.array(xyz, np.float64).reshape(-1, 3), np.array(lengths, np.int64), image, keypoint)


def _map(images: ImageList, parts: list[Tracks]) -> Map:
    """All points, in the order of their first observations, of which no two points share one."""
    points, lengths, image, keypoint = (np.concatenate(column) for column in zip(*parts, strict=True))
    first = np.cumsum(lengths) - lengths
    order = np.lexsort((keypoint[first], image[first]))
    indptr = np.concatenate([[0], np.cumsum(lengths[order])])
    rows = np.arange(indptr[-1]) + np.repeat(first[order] - indptr[:-1], lengths[order])
    return Map(images=images, points=points[order], indptr=indptr, image=image[rows], keypoint=keypoint[rows])
