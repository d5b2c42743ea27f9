"""Pairs of crops of posed photos around points that both of them see, by the tracks of a 3D model."""

import functools
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.io.images import read_photo
from localize.io.models.supplied import read_model
from localize.train.dense.views import DensePair, crop, grey, moved, zoom
from localize.train.photos.photometric import random_change
from localize.types import InputError

KEPT = 300  # photos in memory


@dataclass(frozen=True)
class ModelPairs:
    """A COLMAP or NVM model and the folder of its photos; a pair is drawn from two photos with common points."""

    model: str
    photos: str
    size: int = 256  # px, side of a crop
    points: int = 128  # corresponding places of a pair at most
    min_common: int = 40  # points that two photos must share
    min_zoom: float = 0.5
    augment: float = 0.5  # share of the second crops that get other light,
    night_share: float = 0.4  # and of these the share shown at night

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("size", "points", "min_common", "min_zoom"))

    @functools.cached_property
    def _seen(self):
        return seen_in_pairs(pathlib.Path(self.model), self.min_common)

    def pair(self, rng: np.random.Generator) -> DensePair | None:
        """A pair; its places are those points of the model that both crops show."""
        names, pairs = self._seen
        i, j, a, b = pairs[rng.integers(len(pairs))]
        middle = rng.integers(len(a))
        photos = [_read(pathlib.Path(self.photos) / names[k]) for k in (i, j)]
        factor = np.exp(rng.uniform(np.log(self.min_zoom), 0))
        views, places, inside = [], [], np.ones(len(a), bool)
        for photo, xy in zip(photos, (a, b), strict=True):
            turn = rng.uniform(-10, 10)
            homography = zoom(xy[middle] + rng.uniform(-0.2, 0.2, 2) * self.size, factor, self.size, turn)
            there, shown = moved(homography, xy, self.size)
            views.append(crop(photo, homography, self.size))
            places.append(there)
            inside &= shown
        if rng.random() < self.augment:
            views[1] = random_change(views[1], rng, night_share=self.night_share)
        both = np.sort(rng.permutation(np.flatnonzero(inside))[: self.points])
        return DensePair(*map(grey, views), (places[0][both], places[1][both]))


def seen_in_pairs(model: pathlib.Path, min_common: int) -> tuple[tuple[str, ...], list]:
    """(names of the photos; of each pair with enough common points: both rows, where each point lies in both (N, 2)).

    InputError if there is no such pair.
    """
    problems: list[str] = []
    found = read_model(model, problems)
    if problems:
        raise InputError(*problems)
    point = np.repeat(np.arange(len(found.points)), np.diff(found.indptr))
    by_image = []
    for i in range(len(found.names)):
        rows = np.flatnonzero(found.image == i)
        points, first = np.unique(point[rows], return_index=True)
        by_image.append((points, found.xy[rows[first]]))
    pairs = []
    for i, (points, xy) in enumerate(by_image):
        for j, (others, there) in enumerate(by_image[:i]):
            _, a, b = np.intersect1d(points, others, assume_unique=True, return_indices=True)
            if len(a) >= min_common:
                pairs.append((i, j, xy[a], there[b]))
    if not pairs:
        raise InputError(f"{model} has no two photos that share {min_common} points: there is nothing to learn from it")
    return found.names, pairs


@functools.lru_cache(maxsize=KEPT)
def _read(path: pathlib.Path) -> np.ndarray:
    return read_photo(path)
