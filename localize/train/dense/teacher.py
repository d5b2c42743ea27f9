"""What a teacher finds in photos: any local feature of the package, or features in files."""

import functools
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image

from localize.features.base import LocalFeature, StoredFeature, photo_files
from localize.io.images import read_photo
from localize.keys import describe, file_digest, key_of
from localize.train.loop.part import TrainingPart, aside
from localize.types import Features, InputError


@dataclass(frozen=True)
class Teacher(TrainingPart):
    """Keypoints and descriptors that another feature gives photos as they are; the network learns to give them in any
    light. Needed while training only."""

    feature: Any = aside()  # a local feature; files: by the photos' names below their folder
    photos: tuple = aside(())  # (folder, name) of those that it teaches

    def __post_init__(self):
        if not isinstance(self.feature, LocalFeature | StoredFeature):
            raise InputError(f"feature={type(self.feature).__name__} finds no keypoints: take another to teach")

    def contents(self) -> dict[str, str]:
        """The feature with its settings and the content of its files, wherever these lie."""
        told = {name: value for name, value in describe(self.feature).items() if name != "path"}
        files = []
        if isinstance(self.feature, StoredFeature):
            files = [file_digest(f) for _, name in self.photos for f in photo_files(self.feature, name)]
        return {"feature": key_of([told, files])}

    @functools.cached_property
    def dim(self) -> int:
        """Values of a descriptor; 1 where no photo is taught."""
        if not self.photos:
            return 1
        folder, name = self.photos[0]
        return self.features(name, read_photo(pathlib.Path(folder) / name)).descriptors.shape[1]

    def features(self, name: str, photo: np.ndarray) -> Features:
        """Of the photo (H, W, 3) uint8 of this name."""
        if isinstance(self.feature, StoredFeature):
            return self.feature.read(name, *photo.shape[1::-1])
        return self.feature.extract(np.asarray(PIL.Image.fromarray(photo).convert("L")) if self.feature.grey else photo)
