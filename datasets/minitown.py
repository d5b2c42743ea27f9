"""Minitown: the embedded benchmark, a rendered town with exact cameras. `localize/render` makes it."""

import importlib.resources
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.base import Dataset
from localize.datasets.shared.checks import existing_folder, refuse
from localize.io.text import read_poses, read_query_list
from localize.types import Image, ImageList, Scene, collecting


@dataclass(frozen=True)
class Minitown(Dataset):
    """References by day; queries by day, from other viewpoints, at night and in rain."""

    root: str | None = None  # null: the photos in the package; else a folder that +pipeline=render_minitown wrote
    conditions: tuple = ("day", "viewpoint", "night", "rain")  # of the queries

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)
        object.__setattr__(self, "conditions", tuple(self.conditions))

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        problems, images, poses = [], [], {}
        packaged = importlib.resources.files("localize.datasets") / "minitown_photos"
        root = existing_folder(self.root or packaged, "dataset.root", "a rendered town", problems)
        if not problems:
            with collecting(problems):
                images = read_query_list(root / "cameras.txt", problems)
                poses = read_poses(root / "poses.txt", problems)
        problems += [f"{root}/poses.txt has no pose of {i.name}" for i in images if i.name not in poses]
        found = {image.name.split("/")[1] for image in images if image.name.startswith("query/")}
        unknown = [c for c in self.conditions if images and c not in found]
        problems += [f"there is no condition {c} in {root}: choose among {', '.join(sorted(found))}" for c in unknown]
        refuse(root, root, images, [], problems)
        posed = [Image(i.name, i.camera, poses[i.name], tuple(i.name.split("/")[1:-1]), prior=i.prior) for i in images]
        truth = [i for condition in self.conditions for i in posed if i.tags == (condition,)]
        queries = [Image(i.name, i.camera, tags=i.tags, prior=i.prior) for i in truth]
        return Scene(
            name="Minitown",
            image_root=str(root),
            references=ImageList(i for i in posed if not i.tags),
            queries=ImageList(queries),
            ground_truth=ImageList(truth),
        )
