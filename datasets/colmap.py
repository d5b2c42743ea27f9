"""Your own photos: a folder, a COLMAP model with the references' poses, and a list of queries with intrinsics.

The model may also be an NVM file (VisualSFM, COLMAP) or a Bundler file (.out) with its list of names.
"""

import dataclasses
import pathlib
from dataclasses import dataclass, field
from typing import ClassVar

from localize.datasets.shared.checks import existing_folder
from localize.datasets.shared.models import model_images, the_model
from localize.datasets.shared.own_photos import OwnPhotos, as_on_disk
from localize.io.models.bundler import ENDING as BUNDLER
from localize.io.models.colmap_database import ColmapDatabase
from localize.io.names import PhotoNames
from localize.types import ModelFiles, Scene, collecting


@dataclass(frozen=True)
class Colmap(OwnPhotos):
    """References are the images of the model that are not queries; only cameras and poses of the model are read."""

    image_root: str
    model: str  # folder with cameras and images, .bin or .txt, or a folder above one; an .nvm file; Bundler's .out
    queries: str | None = None  # lines name MODEL width height params..., or name auto; docs/priors.md says what more
    name: str = field(default="colmap", kw_only=True)
    database: str | None = field(default=None, kw_only=True)  # COLMAP database whose keypoints the model counts

    VERSION: ClassVar[int] = 1

    @property
    def supplies_keypoints(self) -> bool:
        """Where the database is named."""
        return self.database is not None

    def scene(self) -> Scene:
        """The scene; InputError with all problems if a file, a line or a photo cannot be used."""
        problems, images, model = [], [], pathlib.Path(self.model)
        root = existing_folder(self.image_root, "dataset.image_root", "the folder of the photos", problems)
        with collecting(problems):
            model = the_model(self.model)
            images = model_images(model, problems, root=root)
        images, in_model = as_on_disk(images, PhotoNames(root))
        database = self._database(problems)
        scene = self.own_scene(f"the model {self.model}", root, images, problems)
        if model.suffix.lower() == BUNDLER:  # only its poses are read
            return scene
        names = {image.name: in_model[image.name] for image in scene.references}
        return dataclasses.replace(scene, supplied=ModelFiles(str(model), names, database))

    def _database(self, problems: list[str]) -> str | None:
        if self.database is None:
            return None
        path = pathlib.Path(self.database).expanduser()
        with collecting(problems):
            ColmapDatabase(path)
        return str(path)
