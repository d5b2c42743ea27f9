"""Global descriptors that somebody else computed, in a file as hloc writes it."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, problems_of
from localize.io.given.hloc import file_with, read_global_descriptor
from localize.types import InputError


@dataclass(frozen=True)
class Hloc:
    """The global descriptor of a photo by its name; no pixel is looked at."""

    path: str  # global-feats-....h5, or the folder of hloc's outputs

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)

    def preflight(self) -> list[str]:
        """What is missing."""
        return problems_of(self._file)

    def read(self, name: str) -> np.ndarray:
        """(D,) float32 of the photo of this name, unit length."""
        return read_global_descriptor(self._file(), name)

    def _file(self) -> str:
        path = file_with(self.path, "global_descriptor", "retrieval.path")
        if not pathlib.Path(path).is_file():
            raise InputError(f"file {path} is missing: retrieval.path names it")
        return path
