"""What a map keeps for re-rankers by regions: the regions of all its references, one after the other."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from localize.types import Regions
from localize.types.checks import check_array, check_indptr

ROWS = tuple(f.name for f in fields(Regions) if f.name != "sizes")


@dataclass(frozen=True, eq=False)
class KeptRegions:
    """What a re-ranker learned from the references, and their regions by name; those of one photo are `kept[name]`."""

    learned: object
    names: tuple[str, ...]
    indptr: np.ndarray  # (R + 1,) int64, where each photo's rows begin
    centers: np.ndarray  # (N, 2), this and the next four as in Regions, rows of all photos
    covariances: np.ndarray  # (N, 3)
    channels: np.ndarray  # (N,)
    levels: np.ndarray  # (N,)
    strengths: np.ndarray  # (N,)
    sizes: np.ndarray  # (R, L, 2) int16

    def __post_init__(self):
        check_array(self, "indptr", np.int64, (len(self.names) + 1,))
        check_array(self, "sizes", np.int16, (len(self.names), None, 2))
        check_indptr(self, "indptr", len(self.centers))
        if {len(getattr(self, name)) for name in ROWS} != {len(self.centers)}:
            raise ValueError("the arrays of KeptRegions have different numbers of rows")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> Regions:
        row = self._row[name]
        part = slice(self.indptr[row], self.indptr[row + 1])
        return Regions(**{name: getattr(self, name)[part] for name in ROWS}, sizes=self.sizes[row])

    @functools.cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


def kept_regions(learned, names: Iterable[str], regions: Iterable[Regions]) -> KeptRegions:
    """Those of the photos of these names, each with as many levels."""
    names, regions = tuple(names), list(regions)
    rows = {name: np.concatenate([getattr(of, name) for of in regions]) for name in ROWS}
    indptr = np.cumsum([0, *map(len, regions)])
    return KeptRegions(learned, names, indptr, **rows, sizes=np.stack([of.sizes for of in regions]))
