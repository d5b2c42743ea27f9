"""Local features that somebody else extracted, in a file as hloc writes it."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.io.hloc import read_local_features
from localize.types import Features


@dataclass(frozen=True)
class Hloc:
    """Features of a photo by its name; no pixel is looked at."""

    path: str  # feats-....h5

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)

    def preflight(self) -> list[str]:
        """What is missing."""
        return [] if pathlib.Path(self.path).is_file() else [f"file {self.path} is missing: feature.path names it"]

    def files(self) -> list[str]:
        """Whose content decides the features."""
        return [self.path]

    def read(self, name: str, width: int, height: int) -> Features:
        """Features of the photo of this name and size in px; the file is opened anew, by whatever process asks."""
        return read_local_features(self.path, name, width, height)
