"""Global descriptors that somebody else computed, in a file as hloc writes it."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.io.given.hloc import read_global_descriptor


@dataclass(frozen=True)
class Hloc:
    """The global descriptor of a photo by its name; no pixel is looked at."""

    path: str  # global-feats-....h5

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)

    def preflight(self) -> list[str]:
        """What is missing."""
        return [] if pathlib.Path(self.path).is_file() else [f"file {self.path} is missing: retrieval.path names it"]

    def read(self, name: str) -> np.ndarray:
        """(D,) float32 of the photo of this name, unit length."""
        return read_global_descriptor(self.path, name)
