"""Your own photos: a folder, a COLMAP model with the references' poses, and a list of queries with intrinsics."""

import dataclasses
import logging
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import existing_folder, query_folder, refuse_photos
from localize.datasets.shared.mounts import mounted
from localize.datasets.shared.same_photos import QueryPhotos, warn_of_copies
from localize.io.exif import camera_of_photo
from localize.io.models.colmap import read_colmap_images
from localize.io.models.colmap_database import ColmapDatabase
from localize.io.names import Names, PhotoNames, of_queries, tidy
from localize.io.text import read_poses, read_query_list
from localize.types import Image, ImageList, InputError, ModelFiles, Scene, collecting, repeated_names
from localize.types.scenes import NO_UNIT, THRESHOLDS_M

log = logging.getLogger(__name__)
IN_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048, "in": 0.0254}


@dataclass(frozen=True)
class Colmap(Dataset):
    """References are the images of the model that are not queries; only cameras and poses of the model are read."""

    image_root: str
    model: str  # folder with cameras and images, .bin or .txt
    queries: str | None = None  # lines name MODEL width height params..., or name auto; docs/priors.md says what more
    ground_truth: str | None = None  # list: name qw qx qy qz tx ty tz (world to camera); null: the model's poses
    query_image_root: str | None = None  # if the queries lie elsewhere
    name: str = "colmap"
    unit: str | None = None  # of the model's lengths: m, cm, mm, km, ft, in, or a word of your own; null: not known
    thresholds: list | tuple | None = None  # unit, degrees; null: 0.25 m / 2 deg, 0.5 m / 5 deg, 5 m / 10 deg
    database: str | None = None  # COLMAP database whose keypoints the model counts, for mapping=imported
    rigs: str | None = None  # COLMAP model with rigs; or list: group name qw qx qy qz tx ty tz (cam_from_rig)
    odometry: str | None = None  # list in order of time: name qw qx qy qz tx ty tz (cam_from_odometry)
    window: int = 5  # photos of a sequence with odometry that are solved together
    gravity_in_world: list | tuple = (0.0, 0.0, -1.0)  # down in the model's frame, for queries that bring gravity

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)
        try:
            down = np.array(self.gravity_in_world, np.float64)
        except (ValueError, TypeError):
            down = np.zeros(0)
        if down.shape != (3,) or not np.isfinite(down).all() or np.linalg.norm(down) < 1e-9:
            raise InputError(
                f"dataset.gravity_in_world is {self.gravity_in_world}, but must be three numbers: the direction of "
                "down in the model's frame, such as [0, 0, -1]"
            )
        if self.unit is not None and len(self.unit.split()) != 1:
            raise InputError(f"dataset.unit is {self.unit!r}, but must be one word: {', '.join(IN_METRES)} or your own")

    @property
    def supplies_keypoints(self) -> bool:
        """Where the database is named."""
        return self.database is not None

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        problems, images, queries = [], [], []
        root = existing_folder(self.image_root, "dataset.image_root", "the folder of the photos", problems)
        query_root = query_folder(self.query_image_root, root, problems)
        model = existing_folder(self.model, "dataset.model", "a COLMAP model", problems)
        if model.is_dir():
            with collecting(problems):
                images = read_colmap_images(model, problems)
        images, in_model = _as_on_disk(images, PhotoNames(root))
        with collecting(problems):
            queries = self._queries(query_root, problems)
        queries = mounted(queries, self.rigs, self.odometry, self.window, problems)
        problems += [f"{self.model}: {p}" for p in repeated_names(image.name for image in images)]
        problems += [f"{self.queries}: {p}" for p in repeated_names(q.name for q in queries)]
        asked = QueryPhotos(query_root, queries)
        query_of = {image.name: asked.shown_in(root / image.name, image.name) for image in images}
        references = [image for image in images if query_of[image.name] is None]
        poses = {query_of[i.name]: i.pose for i in images if query_of[i.name] is not None}
        if poses:
            log.info(
                "%d images of the model, such as %s, are queries, so they are no references", len(poses), min(poses)
            )
        if self.ground_truth:
            with collecting(problems):
                poses = self._ground_truth(queries, problems)
        if not images and not problems:
            problems.append(f"the COLMAP model {self.model} holds no images with poses")
        database = self._database(problems)
        refuse_photos(root, references, query_root, queries, problems)
        warn_of_copies(root, references, query_root, queries)
        truth = [Image(q.name, q.camera, poses[q.name]) for q in queries if q.name in poses]
        return Scene(
            name=self.name,
            image_root=str(root),
            query_root=str(query_root),
            references=ImageList(references),
            queries=ImageList(queries),
            ground_truth=ImageList(truth) if poses else None,
            thresholds=self._bounds(),
            unit=NO_UNIT if self.unit is None else self.unit,
            supplied=ModelFiles(str(model), {image.name: in_model[image.name] for image in references}, database),
        )

    def _queries(self, root: pathlib.Path, problems: list[str]) -> list[Image]:
        if not self.queries:
            return []
        path, photos = pathlib.Path(self.queries).expanduser(), PhotoNames(root)
        listed = read_query_list(
            path,
            problems,
            self.gravity_in_world,
            camera_of=lambda name: camera_of_photo(root / (photos.find(name) or name)),
            names=photos,
        )
        return _as_on_disk(listed, photos)[0]

    def _ground_truth(self, queries: list[Image], problems: list[str]) -> dict:
        path, names = pathlib.Path(self.ground_truth).expanduser(), Names(q.name for q in queries)
        return of_queries(path, read_poses(path, problems, names), names, problems)

    def _database(self, problems: list[str]) -> str | None:
        if self.database is None:
            return None
        path = pathlib.Path(self.database).expanduser()
        with collecting(problems):
            ColmapDatabase(path)
        return str(path)

    def _bounds(self) -> list | tuple:
        """The thresholds in the unit; where it has no length in metres, the same numbers."""
        if self.thresholds is not None:
            return self.thresholds
        return [(metres / IN_METRES.get(self.unit, 1.0), degrees) for metres, degrees in THRESHOLDS_M]


def _as_on_disk(images: list[Image], photos: PhotoNames) -> tuple[list[Image], dict[str, str]]:
    """The images under the names that their photos have on disk, and the names they had, by those."""
    names = [photos.find(image.name) or tidy(image.name) for image in images]
    renamed = [i if i.name == n else dataclasses.replace(i, name=n) for i, n in zip(images, names, strict=True)]
    return renamed, {name: image.name for name, image in zip(names, images, strict=True)}
