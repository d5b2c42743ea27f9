"""What adapters of users' own photos have in common: a list of queries, ground truth, a unit, what queries know."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import query_folder, refuse_photos
from localize.datasets.shared.mounts import mounted
from localize.datasets.shared.same_photos import QueryPhotos, warn_of_copies
from localize.io.exif import camera_of_photo
from localize.io.names import Names, PhotoNames, of_queries, tidy
from localize.io.text import read_poses, read_query_list
from localize.types import Image, ImageList, InputError, Scene, collecting, repeated_names
from localize.types.scenes import NO_UNIT, THRESHOLDS_M

log = logging.getLogger(__name__)
IN_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048, "in": 0.0254}
WRITE_ONE = "python -m localize +pipeline=write_queries pipeline.photos="


@dataclass(frozen=True, kw_only=True)
class WithUnit(Dataset):
    """An adapter whose lengths are in a unit that only the user knows."""

    unit: str | None = None  # of the poses' lengths: m, cm, mm, km, ft, in, or a word of your own; null: not known
    thresholds: list | tuple | None = None  # unit, degrees; null: 0.25 m / 2 deg, 0.5 m / 5 deg, 5 m / 10 deg

    def __post_init__(self):
        check_component(self)
        if self.unit is not None and len(self.unit.split()) != 1:
            raise InputError(f"dataset.unit is {self.unit!r}, but must be one word: {', '.join(IN_METRES)} or your own")

    def in_unit(self) -> dict:
        """The scene's unit and its thresholds in it; where it has no length in metres, the same numbers."""
        bounds = self.thresholds
        if bounds is None:
            bounds = [(metres / IN_METRES.get(self.unit, 1.0), degrees) for metres, degrees in THRESHOLDS_M]
        return {"unit": NO_UNIT if self.unit is None else self.unit, "thresholds": bounds}


@dataclass(frozen=True, kw_only=True)
class OwnPhotos(WithUnit):
    """References are the images of known pose that are not queries. Who inherits has a field `queries`, a list."""

    ground_truth: str | None = None  # list: name qw qx qy qz tx ty tz (world to camera); null: the poses beside them
    query_image_root: str | None = None  # if the queries lie elsewhere
    rigs: str | None = None  # COLMAP model with rigs; or list: group name qw qx qy qz tx ty tz (cam_from_rig)
    odometry: str | None = None  # list in order of time: name qw qx qy qz tx ty tz (cam_from_odometry)
    window: int = 5  # photos of a sequence with odometry that are solved together
    gravity_in_world: list | tuple = (0.0, 0.0, -1.0)  # down in the poses' frame, for queries that bring gravity

    def __post_init__(self):
        super().__post_init__()
        try:
            down = np.array(self.gravity_in_world, np.float64)
        except (ValueError, TypeError):
            down = np.zeros(0)
        if down.shape != (3,) or not np.isfinite(down).all() or np.linalg.norm(down) < 1e-9:
            raise InputError(
                f"dataset.gravity_in_world is {self.gravity_in_world}, but must be three numbers: the direction of "
                "down in the model's frame, such as [0, 0, -1]"
            )

    def own_scene(self, source: str, root: pathlib.Path, images: Sequence[Image], problems: list[str]) -> Scene:
        """The scene of the images with poses, named as their photos in `root` are, and of the listed queries.

        source: what sentences call the file of the images. InputError with the problems so far and all others.
        """
        queries: list[Image] = []
        query_root = query_folder(self.query_image_root, root, problems)
        with collecting(problems):
            queries = self.listed_queries(query_root, problems)
        queries = mounted(queries, self.rigs, self.odometry, self.window, problems)
        problems += [f"{source}: {p}" for p in repeated_names(image.name for image in images)]
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
            problems.append(f"{source} holds no images with poses")
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
            **self.in_unit(),
        )

    def listed_queries(self, root: pathlib.Path, problems: list[str]) -> list[Image]:
        """The queries of the list `queries`, under the names that their photos in `root` have."""
        if not self.queries:
            return []
        path, photos = pathlib.Path(self.queries).expanduser(), PhotoNames(root)
        if path.is_dir():
            raise InputError(
                f"dataset.queries={path} is a folder, but must be a list of lines `name MODEL width height params...`: "
                f"{WRITE_ONE}{path} writes one"
            )
        if not path.exists():
            raise InputError(f"the list of queries {path} is missing: {WRITE_ONE}FOLDER writes one for a folder")
        listed = read_query_list(
            path,
            problems,
            self.gravity_in_world,
            camera_of=lambda name: camera_of_photo(root / (photos.find(name) or name)),
            names=photos,
        )
        return as_on_disk(listed, photos)[0]

    def _ground_truth(self, queries: list[Image], problems: list[str]) -> dict:
        path, names = pathlib.Path(self.ground_truth).expanduser(), Names(q.name for q in queries)
        return of_queries(path, read_poses(path, problems, names), names, problems)


def as_on_disk(images: Sequence[Image], photos: PhotoNames) -> tuple[list[Image], dict[str, str]]:
    """The images under the names that their photos have on disk, and the names they had, by those."""
    names = [photos.find(image.name) or tidy(image.name) for image in images]
    renamed = [i if i.name == n else dataclasses.replace(i, name=n) for i, n in zip(images, names, strict=True)]
    return renamed, {name: image.name for name, image in zip(names, images, strict=True)}
