"""Keypoints at which the feature describes photos: those that a supplied 3D model counts, or its own of before."""

import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localize.features.base import DescribesGiven
from localize.io.models.colmap_database import ColmapDatabase
from localize.io.models.supplied import check_model
from localize.mapping.base import MapImport
from localize.store import Shelf
from localize.types import InputError, Scene

if TYPE_CHECKING:
    from localize.roles import Components


@dataclass(frozen=True)
class GivenKeypoints:
    """Keypoints of photos in a COLMAP database, by photo name, where the database's own names differ."""

    database: ColmapDatabase
    names: dict[str, str]

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (N, 2) px, scales (N,), orientations (N,) of a photo; InputError if the database has none."""
        xy, scales, orientations = self.database.keypoints(self.names[name])
        if not len(xy):
            return xy, np.zeros(0, np.float32), np.zeros(0, np.float32)
        if scales is None:
            raise InputError(
                f"{self.database.path}: the keypoints of {self.names[name]} have no scale and orientation, which a "
                "descriptor needs: take mapping=triangulation"
            )
        return xy, scales, orientations


@dataclass(frozen=True, eq=False)
class FoundKeypoints:
    """Keypoints that the feature's own detector found before, in features on a shelf of the store."""

    shelf: Shelf
    items: dict[str, str]  # item key of each photo, by name

    def of(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (N, 2) px, scales (N,), orientations (N,) of a photo."""
        features, _ = self.shelf.read(self.items[name])
        return features.keypoints, features.scales, features.orientations


def given_keypoints(use: "Components", scene: Scene) -> GivenKeypoints | None:
    """The keypoints of the references that an imported map counts; None where they are the feature's own."""
    if not isinstance(use.mapping, MapImport):
        return None
    feature, files = use.feature, scene.supplied
    if files is None:
        raise InputError(f"{scene.name} comes without a 3D model to import: take mapping=triangulation")
    check_model(pathlib.Path(files.model))
    if files.database is None:
        return None
    if not isinstance(feature, DescribesGiven):
        raise InputError(
            f"{type(feature).__name__} cannot describe the keypoints of {files.database}: take another feature, or "
            "mapping=triangulation"
        )
    names = {name: in_model.removeprefix("./") for name, in_model in files.names.items()}
    return GivenKeypoints(ColmapDatabase(files.database), names)
