"""Your own photos: a folder, a COLMAP model with the references' poses, and a list of queries with intrinsics."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import existing_folder, query_folder, refuse_photos
from localize.datasets.shared.mounts import mounted
from localize.io.exif import camera_of_photo
from localize.io.models.colmap import read_colmap_images
from localize.io.text import read_poses, read_query_list
from localize.types import Image, ImageList, InputError, ModelFiles, Scene, collecting, repeated_names


@dataclass(frozen=True)
class Colmap(Dataset):
    """References are the images of the model that are not queries; only cameras and poses of the model are read."""

    image_root: str
    model: str  # folder with cameras and images, .bin or .txt
    queries: str | None = None  # lines name MODEL width height params..., or name auto; docs/priors.md says what more
    ground_truth: str | None = None  # list: name qw qx qy qz tx ty tz (world to camera); null: the model's poses
    query_image_root: str | None = None  # if the queries lie elsewhere
    name: str = "colmap"
    thresholds: list | tuple = ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))  # metres, degrees
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

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        problems, images, queries, poses = [], [], [], {}
        root = existing_folder(self.image_root, "dataset.image_root", "the folder of the photos", problems)
        query_root = query_folder(self.query_image_root, root, problems)
        model = existing_folder(self.model, "dataset.model", "a COLMAP model", problems)
        if model.is_dir():
            with collecting(problems):
                images = read_colmap_images(model, problems)
        if self.queries:
            with collecting(problems):
                queries = read_query_list(
                    pathlib.Path(self.queries),
                    problems,
                    self.gravity_in_world,
                    camera_of=lambda name: camera_of_photo(query_root / name),
                )
        queries = mounted(queries, self.rigs, self.odometry, self.window, problems)
        names = {q.name for q in queries}
        if self.ground_truth:
            with collecting(problems):
                poses = read_poses(pathlib.Path(self.ground_truth), problems)
        else:
            poses = {image.name: image.pose for image in images if image.name in names}
        references = [image for image in images if image.name not in names]
        problems += [f"{self.model}: {p}" for p in repeated_names(image.name for image in images)]
        problems += [f"{self.queries}: {p}" for p in repeated_names(q.name for q in queries)]
        for name in sorted(set(poses) - names):
            problems.append(f"{self.ground_truth}: {name} is not in the query list")
        if not images and not problems:
            problems.append(f"the COLMAP model {self.model} holds no images with poses")
        refuse_photos(root, references, query_root, queries, problems)
        truth = [Image(q.name, q.camera, poses[q.name]) for q in queries if q.name in poses]
        return Scene(
            name=self.name,
            image_root=str(root),
            query_root=str(query_root),
            references=ImageList(references),
            queries=ImageList(queries),
            ground_truth=ImageList(truth) if poses else None,
            thresholds=self.thresholds,
            supplied=ModelFiles(str(model), {image.name: image.name for image in references}),
        )
