"""Photos of numbered places along a walk, such as frames by day and by evening: for the evaluation of retrieval."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import LARGEST, check_component
from localize.datasets.shared.checks import existing_folder, refuse
from localize.datasets.shared.models import photo_size
from localize.types import Camera, Image, ImageList, InputError, Pose, Scene, collecting

SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Places:
    """The last number in a photo's name is its place; a reference and a query of one number show the same place.

    Only positions are known: number x step_m along a line. Orientations and focal lengths are made up, so this is for
    +pipeline=evaluate_retrieval with pipeline.radius_m alone; poses and maps of it mean nothing.
    """

    root: str
    references: str = "day"  # folder in root
    queries: str = "evening"  # folder in root
    first: int = 0  # place
    last: int | None = None  # place; null: all
    step_m: float = 1.0  # between two numbers

    VERSION: ClassVar[int] = 1
    RANGES: ClassVar[dict] = dict.fromkeys(("first", "last"), (-LARGEST, LARGEST))

    def __post_init__(self):
        check_component(self, positive=("step_m",))

    def load(self) -> Scene:
        """The scene; InputError with all problems if a folder or a photo cannot be used."""
        problems: list[str] = []
        root = existing_folder(self.root, "dataset.root", "the folders of photos", problems)
        found = {}
        for field in ("references", "queries"):
            folder = root / getattr(self, field)
            if not problems and not folder.is_dir():
                problems.append(f"folder {folder} is missing: dataset.{field} names it")
            found[field] = [] if problems else self._images(root, folder, problems)
        if problems:
            raise InputError(*problems)
        for field, images in found.items():
            if not images:
                until = "on" if self.last is None else f"to {self.last}"
                problems.append(f"{root / getattr(self, field)} has no photo of a place from {self.first} {until}")
        refuse(root, root, found["references"], found["queries"], problems)
        return Scene(
            name=root.name,
            image_root=str(root),
            references=ImageList(found["references"]),
            queries=ImageList(Image(i.name, i.camera) for i in found["queries"]),
            ground_truth=ImageList(found["queries"]),
        )

    def _images(self, root, folder, problems: list[str]) -> list[Image]:
        images = []
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
            numbers = re.findall(r"\d+", path.stem)
            if not numbers:
                problems.append(f"photo {path} has no number of a place in its name")
                continue
            place = int(numbers[-1])
            if place < self.first or (self.last is not None and place > self.last):
                continue
            pose = Pose(np.eye(3), [-place * self.step_m, 0, 0])
            with collecting(problems):
                width, height = photo_size(path)
                camera = Camera("SIMPLE_PINHOLE", width, height, [max(width, height), width / 2, height / 2])
                images.append(Image(path.relative_to(root).as_posix(), camera, pose))
        return images
