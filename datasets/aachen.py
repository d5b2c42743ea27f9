"""Aachen Day-Night v1 and v1.1 (Sattler et al., CVPR 2018; Zhang et al., IJCV 2021) as they are distributed."""

import dataclasses
import logging
import pathlib
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import dataset_folder, downloaded, refuse
from localize.datasets.shared.models import model_images, truth_of
from localize.io.text import read_query_list
from localize.types import Camera, Image, ImageList, InputError, ModelFiles, Scene, Submission, collecting

log = logging.getLogger(__name__)
ADDED_IN_V1_1 = "query/night/nexus5x_additional_night/"


@dataclass(frozen=True)
class Aachen(Dataset):
    """References: the photos of the supplied model with its poses. Queries: the official lists, never the folder."""

    root: str | None = None  # null: the folder aachen in $LOCALIZE_DATA
    version: str = "v1"  # v1: 4,328 references, 98 night queries; v1.1: 6,697 and 191
    night_thresholds: str = "since_2020"  # before_2020: 0.5 m / 2 deg, 1 m / 5 deg, 5 m / 10 deg, as older papers have
    ground_truth: str | None = None  # poses of the queries, if you have any: lines `name qw qx qy qz tx ty tz`

    VERSION: ClassVar[int] = 1
    NIGHT: ClassVar[dict] = {"since_2020": {}, "before_2020": {"night": ((0.5, 2.0), (1.0, 5.0), (5.0, 10.0))}}

    def __post_init__(self):
        check_component(self, choices={"version": ("v1", "v1.1"), "night_thresholds": tuple(self.NIGHT)})

    @property
    def folder(self) -> pathlib.Path:
        """Where the dataset is, or is to be."""
        return dataset_folder(self.root, "aachen")

    @property
    def manifest(self) -> str:
        """Name of the list of files to download."""
        return "aachen_" + self.version.replace(".", "_")

    @property
    def supplies_keypoints(self) -> bool:
        """The keypoints that the model of v1.1 counts were never published."""
        return self.version == "v1"

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        folder, problems = downloaded(self.folder), []
        root = next((r for r in (folder / "images_upright", folder / "images/images_upright") if r.is_dir()), None)
        if root is None:
            raise InputError(f"{folder} has no folder images_upright: unpack database_and_query_images.zip there")
        model, database = self._model(folder), folder / "aachen.db"
        references, queries, truth = [], [], None
        with collecting(problems):
            references = self._references(model, root, problems)
        with collecting(problems):
            queries = self._queries(folder / "queries", problems)
        with collecting(problems):
            truth = truth_of(self.ground_truth, queries, problems)
        refuse(folder, root, references, queries, problems)
        return Scene(
            name=f"Aachen Day-Night {self.version}",
            image_root=str(root),
            references=ImageList(references),
            queries=ImageList(queries),
            ground_truth=truth,
            tag_thresholds=self.NIGHT[self.night_thresholds],
            supplied=ModelFiles(str(model), {image.name: image.name for image in references}, str(database))
            if self.supplies_keypoints
            else None,
            submission=Submission(
                "Aachen_eval_{method}.txt" if self.version == "v1" else "Aachen_v1_1_eval_{method}.txt",
                {q.name: q.name.rpartition("/")[2] for q in queries},
            ),
        )

    def _model(self, folder: pathlib.Path) -> pathlib.Path:
        models = folder / "3D-models"
        return models / ("aachen_cvpr2018_db.nvm" if self.version == "v1" else "aachen_v_1_1")

    def _references(self, model: pathlib.Path, root: pathlib.Path, problems: list[str]) -> list[Image]:
        """Poses of the model; cameras of the intrinsics file, as the dataset's own text orders."""
        lists = [model.parent / "database_intrinsics.txt", model / "database_intrinsics_v1_1.txt"]
        path = lists[0] if self.version == "v1" else lists[1]
        cameras: dict[str, Camera] | None = None
        if path.is_file():
            cameras = {image.name: image.camera for image in read_query_list(path, problems)}
        elif self.version == "v1":
            log.warning("%s is missing: the references' cameras are taken from the model, less exactly", path)
        images = model_images(model, problems, root=root, cameras=cameras)
        return sorted(images, key=lambda image: image.name)

    def _queries(self, folder: pathlib.Path, problems: list[str]) -> list[Image]:
        lists = {tag: folder / f"{tag}_time_queries_with_intrinsics.txt" for tag in ("day", "night")}
        renamed = folder / "night_time_queries_with_intrinsics_v1_1.txt"
        if self.version == "v1.1" and renamed.is_file():
            lists["night"] = renamed
        if not any(path.is_file() for path in lists.values()):
            raise InputError(f"neither {lists['day']} nor {lists['night']} is there: the queries are named in them")
        queries = []
        for tag, path in lists.items():
            if not path.is_file():
                log.warning("%s is missing: there are no %s queries", path, tag)
                continue
            queries += [dataclasses.replace(q, tags=(tag,)) for q in read_query_list(path, problems)]
        added = [q for q in queries if q.name.startswith(ADDED_IN_V1_1)]
        if self.version == "v1" and added:  # the release of v1.1 replaces the list under the same name
            log.info("%d night queries that v1.1 added are left out of v1", len(added))
            queries = [q for q in queries if q not in added]
        elif self.version == "v1.1" and not added:
            log.warning("%s is the list of v1: unpack aachen_v1_1.zip over the dataset", lists["night"])
        return queries
