"""Your own photos with transforms.json: nerfstudio, instant-ngp, NeRF, and the apps whose exports these convert."""

import functools
import logging
import os
import pathlib
from dataclasses import dataclass, field
from typing import ClassVar

from localize.datasets.shared.checks import existing_folder
from localize.datasets.shared.models import photo_size
from localize.datasets.shared.own_photos import OwnPhotos
from localize.io.images import SUFFIXES
from localize.io.models.transforms import read_transforms
from localize.io.names import PhotoNames, tidy
from localize.types import Image, InputError, Scene, collecting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transforms(OwnPhotos):
    """References are the frames of the file that are not queries. Lengths are those of its matrices."""

    file: str  # transforms.json, or its folder
    queries: str | None = None  # lines name MODEL width height params..., or name auto; or transforms_test.json
    image_root: str | None = None  # folder of the photos, if not where the file says; null: the file's folder
    original_frame: bool = False  # undo nerfstudio's applied_transform and applied_scale
    name: str = field(default="transforms", kw_only=True)

    VERSION: ClassVar[int] = 1

    def scene(self) -> Scene:
        """The scene; InputError with all problems if the file, a frame or a photo cannot be used."""
        problems, images = [], []
        path = self._file(self.file)
        root = path.parent
        if self.image_root:
            root = existing_folder(self.image_root, "dataset.image_root", "the folder of the photos", problems)
        with collecting(problems):
            images = self._frames(path, root, problems)
        if self._test_file() is not None:  # its frames are queries, whose poses are the ground truth
            with collecting(problems):
                known = {image.name for image in images}
                images += [q for q in self._frames(self._test_file(), root, problems) if q.name not in known]
        return self.own_scene(str(path), root, images, problems)

    def listed_queries(self, root: pathlib.Path, problems: list[str]) -> list[Image]:
        """The queries of a list, or the frames of a file of the same kind as the references'."""
        if self._test_file() is None:
            return super().listed_queries(root, problems)
        frames = []
        with collecting([]):  # what is wrong with them was said
            frames = self._frames(self._test_file(), root, [])
        return [Image(frame.name, frame.camera) for frame in frames]

    def _test_file(self) -> pathlib.Path | None:
        return self._file(self.queries) if self.queries and self.queries.lower().endswith(".json") else None

    def _file(self, path: str) -> pathlib.Path:
        found = pathlib.Path(path).expanduser().absolute()
        return found / "transforms.json" if found.is_dir() else found

    def _frames(self, path: pathlib.Path, root: pathlib.Path, problems: list[str]) -> list[Image]:
        photos = PhotoNames(root)
        images, moved = read_transforms(
            path,
            problems,
            name_of=functools.partial(_name, photos=photos, root=root, elsewhere=self.image_root is not None),
            size_of=lambda name: photo_size(root / name),
            original=self.original_frame,
        )
        if moved and not self.original_frame:
            log.info(
                "%s says that nerfstudio moved the poses (applied_transform): answers are in the file's own frame; "
                "dataset.original_frame=true gives them in that of before",
                path,
            )
        return images


def _name(file_path: str, photos: PhotoNames, root: pathlib.Path, elsewhere: bool) -> str:
    """The name in `root` of a photo as the file calls it, which may lack its ending or come from another machine.

    elsewhere: the photos lie where the user says, so leading folders of the file's names may be missing there.
    """
    if not isinstance(file_path, str) or not file_path.strip():
        raise ValueError(f"file_path is {file_path!r}, but must name a photo")
    given = file_path.replace("\\", "/")
    if given.startswith("/") and pathlib.PurePosixPath(given).is_relative_to(root):
        given = pathlib.PurePosixPath(given).relative_to(root).as_posix()
    given = os.path.normpath(given)
    outside = given.startswith(("/", "../")) or given[1:2] == ":"
    parts = [part for part in given.split("/") if part not in ("", "..")]
    for first in range(len(parts) if outside or elsewhere else 1):
        name = "/".join(parts[first:])
        for found in (photos.find(name), *(photos.find(name + ending) for ending in sorted(SUFFIXES))):
            if found is not None and (root / found).is_file():
                return found
    if outside:
        raise InputError(f"the photo is not below {root}: name the folder it is in, dataset.image_root=FOLDER")
    return tidy(given)
