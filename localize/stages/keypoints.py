"""Keypoints at which the feature describes photos: those that a supplied 3D model uses, or its own of before."""

import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localize.features.base import DescribesGiven
from localize.io.models.colmap_database import ColmapDatabase
from localize.io.models.supplied import check_model, sound_model
from localize.keys import file_digest
from localize.mapping.base import MapImport
from localize.mapping.used_keypoints import OTHERS, UsedKeypoints, used_keypoints
from localize.stages.upright import refuse_turned
from localize.stages.workbench import Workbench
from localize.store import Shelf
from localize.types import InputError, Scene

if TYPE_CHECKING:
    from localize.roles import Components


@dataclass(frozen=True, eq=False)
class KeypointsOfPhoto:
    """Keypoints of one photo in a COLMAP database, of which the model uses some."""

    database: ColmapDatabase
    name: str  # in the database
    used: np.ndarray  # (K,) int32, ascending

    def read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (K, 2) px, scales (K,), orientations (K,); InputError if the database has none for them."""
        if not len(self.used):
            return np.zeros((0, 2), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32)
        xy, scales, orientations = self.database.keypoints(self.name)
        if self.used[-1] >= len(xy):
            raise InputError(
                f"the supplied model counts keypoint {self.used[-1]} of {self.name}, which has {len(xy)}: {OTHERS}"
            )
        if scales is None:
            raise InputError(
                f"{self.database.path}: the keypoints of {self.name} have no scale and orientation, which a "
                "descriptor needs: take mapping=triangulation"
            )
        return xy[self.used], scales[self.used], orientations[self.used]


@dataclass(frozen=True, eq=False)
class FoundKeypoints:
    """Keypoints that the feature's own detector found before, in features on a shelf of the store."""

    shelf: Shelf
    items: dict[str, str]  # item key of each photo, by name

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (N, 2) px, scales (N,), orientations (N,) of a photo."""
        features, _ = self.shelf.read(self.items[name])
        return features.keypoints, features.scales, features.orientations


@dataclass(frozen=True, eq=False)
class GivenKeypoints:
    """The keypoints that a supplied model uses, by photo name, where the model's own names differ.

    They are those of all photos of the model: which of them are references changes no photo's keypoints.
    """

    database: ColmapDatabase
    names: dict[str, str]  # in the model
    used: UsedKeypoints

    def of(self, name: str) -> KeypointsOfPhoto:
        """Those of a photo; none where the model does not know it."""
        in_model = self.names[name]
        return KeypointsOfPhoto(self.database, in_model.removeprefix("./"), self.used.of(in_model))


def given_keypoints(bench: Workbench, use: "Components", scene: Scene) -> GivenKeypoints | None:
    """The keypoints of the references that an imported map uses; None where they are the feature's own."""
    if not isinstance(use.mapping, MapImport):
        return None
    feature, files = use.feature, scene.supplied
    if files is None:
        raise InputError(f"{scene.name} comes without a 3D model to import: take mapping=triangulation")
    path = pathlib.Path(files.model)
    check_model(path)
    if files.database is None:
        return None
    if not pathlib.Path(files.database).exists():
        raise InputError(
            f"the database {files.database}, whose keypoints the supplied model counts, is missing: get it (of a "
            "benchmark by +pipeline=download 'pipeline.parts=[features]'), or take mapping=triangulation"
        )
    if not isinstance(feature, DescribesGiven):
        raise InputError(
            f"{type(feature).__name__} cannot describe the keypoints of {files.database}: take another feature, or "
            "mapping=triangulation"
        )
    refuse_turned(feature, scene)
    spec = {"used_keypoints": UsedKeypoints.VERSION, "model": model_digests(path)}
    used, _ = bench.artifact("used_keypoints", spec, lambda: used_keypoints(sound_model(path))[0])
    return GivenKeypoints(ColmapDatabase(files.database), dict(files.names), used)


def model_digests(path: pathlib.Path) -> list[str]:
    """What a supplied model is known by."""
    parts = sorted(path.iterdir()) if path.is_dir() else [path]
    return [file_digest(part) for part in parts if part.is_file()]
