"""Benchmarks of patches: there is nothing to localize in them; they are here to be downloaded."""

import pathlib
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.shared.checks import dataset_folder
from localize.types import InputError, Scene


@dataclass(frozen=True)
class PhotoTour:
    """1.55 million patches of Liberty, Notre Dame and Yosemite (Winder & Brown, CVPR 2007)."""

    root: str | None = None

    VERSION: ClassVar[int] = 1
    manifest: ClassVar[str] = "phototour"
    use: ClassVar[str] = "+table=crbnet pipeline.phototour={}"

    def __post_init__(self):
        check_component(self)

    @property
    def folder(self) -> pathlib.Path:
        """Where it is, or a download puts it."""
        return dataset_folder(self.root, self.manifest)

    def load(self) -> Scene:
        """InputError: it has no scene."""
        use = self.use.format(self.folder)
        raise InputError(f"{self.manifest} is patches of photos, and nothing can be localized in them: {use}")


@dataclass(frozen=True)
class HPatches(PhotoTour):
    """Patches of 116 sequences (Balntas, Lenc, Vedaldi & Mikolajczyk, CVPR 2017)."""

    manifest: ClassVar[str] = "hpatches"
    use: ClassVar[str] = "+table=crbnet pipeline.hpatches={}/hpatches-release"
