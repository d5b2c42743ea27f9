"""What a map keeps for re-rankers by regions or visual words: those of all its references, one after the other."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from localize.kernels.asmk import InvertedFile
from localize.types import Regions, VisualWords
from localize.types.checks import check_array, check_indptr

ROWS = tuple(f.name for f in fields(Regions) if f.name != "sizes")


@dataclass(frozen=True, eq=False)
class Kept:
    """What a re-ranker learned from the references, and what it found in each, by name."""

    learned: object
    names: tuple[str, ...]
    indptr: np.ndarray  # (R + 1,) int64, where each photo's rows begin

    def __len__(self) -> int:
        return len(self.names)

    @functools.cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    def _rows(self, name: str) -> slice:
        row = self._row[name]
        return slice(self.indptr[row], self.indptr[row + 1])


@dataclass(frozen=True, eq=False)
class KeptRegions(Kept):
    """The regions of one photo are `kept[name]`."""

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

    def __getitem__(self, name: str) -> Regions:
        part = self._rows(name)
        return Regions(**{name: getattr(self, name)[part] for name in ROWS}, sizes=self.sizes[self._row[name]])


@dataclass(frozen=True, eq=False)
class KeptWords(Kept):
    """The visual words of one photo are `kept[name]`."""

    words: np.ndarray  # (N,) int32, this and the next as in VisualWords, rows of all photos
    codes: np.ndarray  # (N, W) uint64
    num_bits: int  # of all

    def __post_init__(self):
        check_array(self, "indptr", np.int64, (len(self.names) + 1,))
        check_array(self, "words", np.int32, (None,))
        check_array(self, "codes", np.uint64, (len(self.words), None))
        check_indptr(self, "indptr", len(self.words))

    def __getitem__(self, name: str) -> VisualWords:
        part = self._rows(name)
        return VisualWords(self.words[part], self.codes[part], self.num_bits)

    @functools.cached_property
    def inverted(self) -> InvertedFile:
        """Of all photos, in the order of their names; made once in a process."""
        return inverted_file([self[name] for name in self.names])


def inverted_file(found: Iterable[VisualWords]) -> InvertedFile:
    """Of the photos with these words."""
    found = list(found)
    return InvertedFile([of.words for of in found], [of.codes for of in found])


def kept(learned, names: Iterable[str], found: Iterable[Regions] | Iterable[VisualWords]) -> KeptRegions | KeptWords:
    """What was found in the photos of these names; of regions, each with as many levels."""
    names, found = tuple(names), list(found)
    indptr = np.cumsum([0, *map(len, found)])
    if isinstance(found[0], VisualWords):
        rows = {name: np.concatenate([getattr(of, name) for of in found]) for name in ("words", "codes")}
        return KeptWords(learned, names, indptr, **rows, num_bits=found[0].num_bits)
    rows = {name: np.concatenate([getattr(of, name) for of in found]) for name in ROWS}
    return KeptRegions(learned, names, indptr, **rows, sizes=np.stack([of.sizes for of in found]))
