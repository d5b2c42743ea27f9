"""What a teacher finds in photos: any local feature of the package, or features in files."""

import pathlib
from dataclasses import dataclass
from typing import Any

from localize.components import files_of
from localize.features.base import LocalFeature, StoredFeature, photo_files
from localize.io.images import read_photo
from localize.keys import file_digest, key_of
from localize.train.loop.part import TrainingPart, aside, check_part
from localize.types import Features, InputError


@dataclass(frozen=True)
class Teacher(TrainingPart):
    """Keypoints and descriptors that another feature gives photos as they are; the network learns to give them in any
    light. Needed while training only."""

    feature: Any = aside()  # a local feature; files: by the photos' names below their folder

    def __post_init__(self):
        check_part(self)
        if not isinstance(self.feature, LocalFeature | StoredFeature):
            raise InputError(
                f"pipeline.teacher.feature is {self.feature!r}, but must be a component such as feature/*.yaml"
            )

    def contents(self) -> dict[str, str]:
        """The feature with its settings and the digests of its files."""
        told = {"class": type(self.feature).__name__, **vars(self.feature)}
        files = [] if isinstance(self.feature, StoredFeature) else [file_digest(f) for f in files_of(self.feature)]
        return {"feature": key_of([{k: str(v) for k, v in told.items() if k != "path"}, files])}

    def digests(self, names: list[str]) -> list[str]:
        """Of the files that hold the features of photos of these names, if they lie in files."""
        if not isinstance(self.feature, StoredFeature):
            return []
        return [file_digest(f) for name in names for f in photo_files(self.feature, name)]

    def features(self, folder: pathlib.Path, name: str) -> Features:
        """Of the photo of this name in a folder."""
        if isinstance(self.feature, StoredFeature):
            height, width = read_photo(folder / name, grey=True).shape
            return self.feature.read(name, width, height)
        return self.feature.extract(read_photo(folder / name, grey=self.feature.grey))
