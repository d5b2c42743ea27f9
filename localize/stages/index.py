"""The index over a map's points."""

from dataclasses import dataclass

import numpy as np

from localize.index.base import Index
from localize.keys import describe
from localize.stages.mapping import LocalizationMap
from localize.stages.workbench import Workbench
from localize.types import Nearest, PointRows


@dataclass(frozen=True, eq=False)
class BuiltIndex:
    """An index component, what it built, and the key of that."""

    component: Index
    built: object
    key: str

    def nearest(self, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points of descriptors (Q, D) float32 in the prior leaves; rows: those it was built on."""
        return self.component.nearest(self.built, rows, descriptors)


def build_index(bench: Workbench, index: Index, points: LocalizationMap) -> BuiltIndex:
    """The index over the map's rows; settings that only matter at query time rebuild nothing."""
    spec = {"index": describe(index, building=True), "rows": points.rows_key}
    built, key = bench.artifact("index", spec, lambda: index.build(points.rows))
    return BuiltIndex(index, built, key)
