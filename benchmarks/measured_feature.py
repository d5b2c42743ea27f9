"""A local feature as the command line names it, asked for photos of several folders of data."""

import dataclasses
import functools
import pathlib
import time

import numpy as np
import PIL.Image
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

import localize.datasets
from localize.components import USUAL, BringsThresholds
from localize.features.base import StoredFeature
from localize.features.files import Files
from localize.features.sift import Sift
from localize.io.images import list_photos, read_photo
from localize.types import Features

MINITOWN = "minitown_photos"  # the embedded one; every other folder is one of --data
FOLDER = "{}"  # in a setting: the folder of data, as it is called below --data


@dataclasses.dataclass(frozen=True)
class MeasuredFeature:
    """A choice of `feature` and settings such as weights=... or, for files, path=peers/{}: {} is the data's folder."""

    choice: str
    settings: tuple[str, ...]
    data: pathlib.Path

    def of(self, folder: str, **changed):
        """The component for the photos of a folder, with some fields changed if it has them."""
        made = _component(self.choice, tuple(s.replace(FOLDER, folder) for s in self.settings))
        names = {f.name for f in dataclasses.fields(made)}
        return dataclasses.replace(made, **{name: v for name, v in changed.items() if name in names})

    @property
    def on_sift(self) -> bool:
        """Whether its keypoints are SIFT's, so that a place alone, without a scale, cannot be described."""
        return isinstance(self.of(MINITOWN), Sift)

    @property
    def ratio(self) -> float:
        """Of the test between two photos that suits it."""
        feature = self.of(MINITOWN)
        return (feature.thresholds if isinstance(feature, BringsThresholds) else USUAL).pair_ratio

    def root(self, folder: str) -> pathlib.Path:
        return pathlib.Path(localize.datasets.__path__[0]) / MINITOWN if folder == MINITOWN else self.data / folder

    def photo(self, folder: str, name: str) -> np.ndarray:
        """Grey or in colours, as the feature takes it."""
        return read_photo(self.root(folder) / name, grey=getattr(self.of(folder), "grey", False))

    def extract(self, folder: str, name: str, **changed) -> Features:
        feature = self.of(folder, **changed)
        if not isinstance(feature, StoredFeature):
            return feature.extract(self.photo(folder, name))
        with PIL.Image.open(self.root(folder) / name) as photo:
            return feature.read(name, *photo.size)

    def seconds(self, folder: str, name: str) -> float | None:
        """CPU seconds that a photo takes without reading it; of files what they say, None if they do not."""
        feature = self.of(folder)
        if isinstance(feature, Files):
            found = np.load(feature.photo_files(name)[0])
            return float(found["seconds"]) if "seconds" in found else None
        photo = self.photo(folder, name)
        start = time.process_time()
        feature.extract(photo)
        return time.process_time() - start

    def names(self, folder: str, below: str = "", number: int | None = None) -> list[str]:
        """Photos below a part of a folder: all, or so many, spread evenly."""
        found = [below + name for name in list_photos(self.root(folder) / below)]
        return found if number is None else found[:: max(1, len(found) // number)][:number]


@functools.lru_cache(maxsize=16)
def _component(choice: str, settings: tuple[str, ...]):
    overrides = [f"feature={choice}", *(f"feature.{setting}" for setting in settings)]
    with initialize_config_module("localize.conf", version_base=None):
        return instantiate(compose("config", overrides).feature, _convert_="all")


def strongest(features: Features, most: int) -> Features:
    """The keypoints of the highest scores, as a feature that may have no more would keep them."""
    return features.only(np.argsort(-features.scores, kind="stable")[:most])
