"""Pairs of crops of rendered photos with depth maps: the same surface by day, at night and in rain."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.train.d2.depth import DepthPairs, DepthScene
from localize.train.dense.views import DensePair, grey

ASKED = 8  # places of the first crop that are followed to the second one, for each that is kept


@dataclass(frozen=True)
class TownPairs:
    """Photos of a town of +pipeline=render_minitown; places are drawn where both crops show the same surface."""

    town: DepthScene
    size: int = 256  # px, side of a crop
    points: int = 128  # corresponding places of a pair at most
    tolerance: float = 0.02  # between depths of one point, as a share
    augment: float = 0.5  # share of the second crops that get other light

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("size", "points", "tolerance"))

    def pair(self, rng: np.random.Generator) -> DensePair | None:
        """A pair; None where a photo is smaller than a crop, or the two show nothing in common."""
        source = DepthPairs((self.town,), self.size, self.tolerance, True, self.augment)
        found = source.pair(rng)
        if found is None:
            return None
        xy = rng.uniform(0, self.size - 1, (ASKED * self.points, 2))
        moved, valid = found.moves(xy)
        valid &= (moved >= 0).all(1) & (moved <= self.size - 1).all(1)
        rows = np.flatnonzero(valid)[: self.points]
        places = xy[rows].astype(np.float32), moved[rows].astype(np.float32)
        return DensePair(grey(found.first), grey(found.second), places)
