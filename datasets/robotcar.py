"""RobotCar Seasons v1 and v2 (Sattler et al., CVPR 2018; Maddern et al., IJRR 2017) as they are distributed."""

import dataclasses
import logging
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import SHOWN, dataset_folder, downloaded, refuse
from localize.datasets.shared.models import photo_size, truth_of
from localize.io.benchmarks.robotcar import (
    CAMERAS,
    camera_and_time,
    camera_of,
    photo_name,
    read_intrinsics,
    read_training_poses,
)
from localize.io.images import list_photos
from localize.io.models.colmap import read_colmap_images
from localize.io.models.nvm import read_nvm_images
from localize.io.text import read_lines, read_query_list
from localize.types import Camera, Image, ImageList, InputError, ModelFiles, Scene, Submission, collecting

log = logging.getLogger(__name__)
REFERENCE = "overcast-reference"


@dataclass(frozen=True)
class RobotCar(Dataset):
    """References: the photos of the supplied model with its poses. Queries: all conditions, or the lists of v2."""

    root: str | None = None  # null: the folder robotcar in $LOCALIZE_DATA
    version: str = "v1"  # v2 has public poses for a part of the queries
    queries: str = "test"  # v2 only: test, or train, whose poses are public and are the ground truth
    cameras: tuple = ("rear",)  # whose queries are localized; only rear is scored
    retrieval_within: tuple = ()  # camera, location: retrieve references of the same camera, the same location
    ground_truth: str | None = None  # poses of the queries, if you have any: lines `name qw qx qy qz tx ty tz`

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, choices={"version": ("v1", "v2"), "queries": ("test", "train")})
        for field, allowed in (("cameras", CAMERAS), ("retrieval_within", ("camera", "location"))):
            object.__setattr__(self, field, tuple(getattr(self, field)))
            if set(getattr(self, field)) - set(allowed):
                raise InputError(f"dataset.{field} is {list(getattr(self, field))}, but may hold {', '.join(allowed)}")

    @property
    def folder(self) -> pathlib.Path:
        """Where the dataset is, or is to be."""
        return dataset_folder(self.root, "robotcar")

    @property
    def manifest(self) -> str:
        """Name of the list of files to download."""
        return f"robotcar_{self.version}"

    @property
    def supplies_keypoints(self) -> bool:
        """They are those of the merged model."""
        return self._merged.is_file()

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        folder, problems, merged = downloaded(self.folder), [], []
        references, queries, truth = [], [], None
        with collecting(problems):
            merged = read_nvm_images(self._merged, problems) if self._merged.is_file() else []
            references = sorted(self._references(merged, problems), key=lambda image: image.name)
        with collecting(problems):
            queries, truth = self._of_version(self._queries(problems), problems)
        if self.retrieval_within:
            with collecting(problems):
                references, queries = self._grouped(references), self._grouped(queries)
        root = folder / "images"
        refuse(folder, root, references, queries, problems)
        prefix = "RobotCar" if self.version == "v1" else "RobotCar_v2"
        return Scene(
            name=f"RobotCar Seasons {self.version}",
            image_root=str(root),
            references=ImageList(references),
            queries=ImageList(queries),
            ground_truth=truth,
            supplied=self._supplied([name for name, *_ in merged]),
            submission=Submission(
                prefix + "_eval_{method}.txt",
                {q.name: camera_and_time(q.name) for q in queries if camera_of(q.name) == "rear"},
            ),
        )

    @property
    def _merged(self) -> pathlib.Path:
        return self.folder / "3D-models/all-merged/all.nvm"

    def _locations(self) -> list[pathlib.Path]:
        return sorted((self.folder / "3D-models/individual/colmap_reconstructions").glob("*_aligned"))

    def _references(self, merged: list[tuple], problems: list[str]) -> list[Image]:
        """Of the merged NVM with the intrinsics files, or of the models of the locations with their own cameras."""
        if self._merged.is_file():
            cameras = self._intrinsics(name for name, *_ in merged)
            return [
                Image(photo_name(name), _with_radial(cameras[camera_of(name)], radial), pose)
                for name, _, radial, pose in merged
            ]
        if not self._locations():
            raise InputError(
                f"neither {self._merged} nor {self.folder}/3D-models/individual/colmap_reconstructions/*_aligned is "
                "there: the references' poses are in them"
            )
        images = [image for folder in self._locations() for image in read_colmap_images(folder, problems)]
        return [dataclasses.replace(image, name=photo_name(image.name)) for image in images]

    def _supplied(self, names: list[str]) -> ModelFiles | None:
        """The merged model, if it is there, with the names it uses itself."""
        if not self._merged.is_file():
            return None
        database = self.folder / "3D-models/overcast-reference.db"
        return ModelFiles(str(self._merged), {photo_name(name): name for name in names}, str(database))

    def _intrinsics(self, names: Iterable[str]) -> dict[str, Camera]:
        """The cameras that took these photos; their files know no size, so it is read from a photo of each."""
        cameras = {}
        for name in names:
            camera = camera_of(name)
            if camera not in cameras:
                photo = next((self.folder / "images").glob(f"*/{camera}/*"), None)
                if photo is None:
                    raise InputError(f"{self.folder}/images has no photos of the camera {camera}, which took {name}")
                path = self.folder / f"intrinsics/{camera}_intrinsics.txt"
                cameras[camera] = read_intrinsics(path, *photo_size(photo))
        return cameras

    def _queries(self, problems: list[str]) -> list[Image]:
        """Of lists with intrinsics, as hloc writes them into queries/, or of the folders of the conditions."""
        lists = sorted((self.folder / "queries").glob("*_queries_with_intrinsics.txt"))
        lists = lists or list((self.folder / "queries").glob("queries_with_intrinsics.txt"))
        queries = [q for path in lists for q in read_query_list(path, problems)]
        if not lists:
            root = self.folder / "images"
            names = [name for name in list_photos(root) if not name.startswith(REFERENCE + "/")]
            cameras = self._intrinsics(names)
            queries = [Image(name, cameras[camera_of(name)]) for name in names]
        queries = [q for q in queries if camera_of(q.name) in self.cameras]
        return [dataclasses.replace(q, name=photo_name(q.name), tags=_tags(q.name)) for q in queries]

    def _of_version(self, queries: list[Image], problems: list[str]) -> tuple[list[Image], ImageList | None]:
        """The queries of the version, and their poses where they are known."""
        if self.version == "v1":
            return queries, truth_of(self.ground_truth, queries, problems)
        if self.queries == "test":
            path = self.folder / "robotcar_v2_test.txt"
            wanted = {camera_and_time(fields[0]): f"{path}:{number}" for number, fields in read_lines(path)}
        else:
            path = self.folder / "robotcar_v2_train.txt"
            poses = read_training_poses(path, problems)
            wanted = {camera_and_time(name): str(path) for name in poses}
        kept = [q for q in queries if camera_and_time(q.name) in wanted]
        unknown = set(wanted) - {camera_and_time(q.name) for q in kept}
        problems += [f"{wanted[name]}: there is no query photo {name}" for name in sorted(unknown)[:SHOWN]]
        if self.queries == "test":
            return kept, truth_of(self.ground_truth, kept, problems)
        return kept, ImageList([dataclasses.replace(q, pose=poses[q.name]) for q in kept if q.name in poses])

    def _grouped(self, images: list[Image]) -> list[Image]:
        """The images with the camera, the location, or both as the group that retrieval stays in."""
        locations = self._location_of() if "location" in self.retrieval_within else {}
        grouped, lost = [], 0
        for image in images:
            camera = (camera_of(image.name),) if "camera" in self.retrieval_within else ()
            where = locations.get(camera_and_time(image.name), ())
            lost += bool(locations) and not where
            groups = tuple(" ".join((*camera, place)) for place in where)
            if image.pose is not None or not where:  # references are also there for queries without a location
                groups += camera
            grouped.append(dataclasses.replace(image, groups=groups))
        if lost:
            log.warning("%d of %d photos are in no location, such as lists of queries have it", lost, len(images))
        return grouped

    def _location_of(self) -> dict[str, tuple[str, ...]]:
        """Numbers of the locations by `camera/time`, of references by their models and of queries by their lists."""
        found: dict[str, tuple[str, ...]] = {}
        lists = self.folder / "3D-models/individual/queries_per_location"
        for folder in self._locations():
            place = folder.name.removesuffix("_aligned")
            names = [image.name for image in read_colmap_images(folder, [])]
            path = lists / f"queries_location_{place}.txt"
            names += [fields[0] for _, fields in read_lines(path)]
            for name in names:
                key = camera_and_time(name)
                found[key] = (*found.get(key, ()), place)
        if not found:
            raise InputError(
                f"dataset.retrieval_within=[location] needs {self.folder}/3D-models/individual/: download it, or leave "
                "location out"
            )
        return found


def _with_radial(camera: Camera, radial: float) -> Camera:
    """The camera with a model's radial distortion, which is 0 for the real photos."""
    if radial == 0:
        return camera
    fx, _, cx, cy = camera.params
    return Camera("SIMPLE_RADIAL", camera.width, camera.height, [fx, cx, cy, radial])


def _tags(name: str) -> tuple[str, str]:
    """The condition, and the group the benchmark sums it up in."""
    condition = name.removeprefix("./").split("/")[0]
    return condition, "night all" if condition.startswith("night") else "day all"
