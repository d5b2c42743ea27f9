"""Which photos show the same place and which cannot: from lists, from the points of maps, from where photos were taken.

Each kind of data becomes a `Photos`; what makes tuples of them is the same for all.
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse

from localize.io.benchmarks.retrieval_sfm import read_sfm_lists, sfm_photo
from localize.io.models.supplied import check_model, read_model
from localize.io.records import load_record
from localize.keys import key_of
from localize.train.compact.places import OTHER, SAME, read_places
from localize.train.covisibility import seen_points, sharing_pairs
from localize.types import ImageList, InputError, PointRows

SAVED = "localizer.json"  # a folder that holds it is a map of +pipeline=build_map
SHOWN = 5  # missing photos that are named


class Photos(Protocol):
    """Photos to make tuples of."""

    paths: Sequence[pathlib.Path]  # N
    pairs: np.ndarray  # (P, 2) int64: a query, and a photo that shows the same

    def elsewhere(self, photo: int) -> np.ndarray:
        """(N,) bool: which photos are surely of another place than this one."""

    def digest(self) -> str:
        """Of which photos show the same and which cannot."""


@dataclass(frozen=True, eq=False)
class ListedPhotos:
    """The lists of retrieval-SfM-120k: what is of another 3D model is of another place."""

    paths: list[pathlib.Path]
    pairs: np.ndarray
    cluster: np.ndarray  # (N,)

    def elsewhere(self, photo: int) -> np.ndarray:
        """See `Photos`."""
        return self.cluster != self.cluster[photo]

    def digest(self) -> str:
        """See `Photos`; of the names too."""
        return key_of([[path.name for path in self.paths], self.pairs, self.cluster])


def sfm_photos(lists: str, folder: str, part: str = "train") -> ListedPhotos:
    """The photos of the file `retrieval-SfM-120k.pkl`, which lie below the folder `ims`; InputError if some do not."""
    found = read_sfm_lists(pathlib.Path(lists), part)
    paths = [sfm_photo(pathlib.Path(folder), name) for name in found.names]
    return ListedPhotos(_there(paths, lists), found.pairs, found.cluster)


@dataclass(frozen=True, eq=False)
class MappedPhotos:
    """The photos of a map: two that share enough points show the same place; two that share none, and with no third
    photo either, are of other places. Nothing is known of one that sees no point."""

    paths: list[pathlib.Path]
    pairs: np.ndarray
    near: scipy.sparse.csr_array  # (N, N) bool: the two share points, or both share some with a third photo

    def elsewhere(self, photo: int) -> np.ndarray:
        """See `Photos`."""
        around = self.near.indices[self.near.indptr[photo] : self.near.indptr[photo + 1]]
        found = (np.diff(self.near.indptr) > 0) & (len(around) > 0)
        found[around] = False
        return found

    def digest(self) -> str:
        """See `Photos`."""
        return key_of([self.pairs, self.near.indptr, self.near.indices])


def map_photos(model: str, folder: str, min_shared: float) -> MappedPhotos:
    """The photos, below a folder, of a COLMAP model, an NVM file or a map's folder of +pipeline=build_map.

    min_shared: share of the points of the one that sees fewer, from which on two show the same. InputError if photos
    are missing or no two share so many points.
    """
    names, sees = (_saved_map if (pathlib.Path(model) / SAVED).is_file() else _model)(pathlib.Path(model))
    pairs = sharing_pairs(sees, min_shared)
    if not len(pairs):
        raise InputError(
            f"{model} has no two photos that share {min_shared:g} of their points: take a smaller "
            "pipeline.data.min_shared, or another model"
        )
    touching = (sees @ sees.T).astype(bool)
    paths = _there([pathlib.Path(folder) / name for name in names], model)
    return MappedPhotos(paths, np.concatenate([pairs, pairs[:, ::-1]]), (touching @ touching).tocsr())


def _model(path: pathlib.Path) -> tuple[Sequence[str], scipy.sparse.csr_array]:
    """(names, what each sees) of a supplied model."""
    check_model(path, "another one in pipeline.data.models")
    problems: list[str] = []
    found = read_model(path, problems)
    if problems:
        raise InputError(*problems)
    point = np.repeat(np.arange(len(found.points)), np.diff(found.indptr))
    return found.names, seen_points(found.image, point, len(found.names), len(found.points))


def _saved_map(folder: pathlib.Path) -> tuple[Sequence[str], scipy.sparse.csr_array]:
    """The same of a map that was saved."""
    references, rows = load_record(folder / "references"), load_record(folder / "rows")
    if not isinstance(references, ImageList) or not isinstance(rows, PointRows):
        raise InputError(f"the parts of the map {folder} are not its own: build it again")
    image = np.repeat(np.arange(len(references)), np.diff(rows.image_indptr))
    return references.names, seen_points(image, rows.point, len(references), len(rows.points))


@dataclass(frozen=True, eq=False)
class WalkPhotos:
    """Photos of known positions: near and looking the same way, the same place; far, another one."""

    paths: list[pathlib.Path]
    pairs: np.ndarray
    relations: np.ndarray  # (N, N) int8, see PlacedPhotos.relations

    def elsewhere(self, photo: int) -> np.ndarray:
        """See `Photos`."""
        return self.relations[photo] == OTHER

    def digest(self) -> str:
        """See `Photos`."""
        return key_of(self.relations)


def walk_photos(folders: Sequence[str], same_m: float, same_deg: float, other_m: float) -> WalkPhotos:
    """The photos of folders with places.txt; a photo without a position is a negative only, of the other folders."""
    places = read_places(list(folders))
    relations = places.relations(same_m, same_deg, other_m)
    same = (relations == SAME) & ~np.eye(len(places), dtype=bool)
    return WalkPhotos(places.paths, np.argwhere(same), relations)


class JoinedPhotos:
    """Several data sets at once, which show nothing in common."""

    def __init__(self, parts: Sequence[Photos]):
        self.parts = parts
        self.starts = np.cumsum([0, *(len(part.paths) for part in parts)])
        self.paths = [path for part in parts for path in part.paths]
        self.pairs = np.concatenate([part.pairs + at for part, at in zip(parts, self.starts, strict=False)])

    def elsewhere(self, photo: int) -> np.ndarray:
        """See `Photos`."""
        found = np.ones(len(self.paths), bool)
        number = np.searchsorted(self.starts, photo, "right") - 1
        start, end = self.starts[number : number + 2]
        found[start:end] = self.parts[number].elsewhere(photo - start)
        return found

    def digest(self) -> str:
        """See `Photos`."""
        return key_of([part.digest() for part in self.parts])


def _there(paths: list[pathlib.Path], source: str) -> list[pathlib.Path]:
    """The paths; InputError for those that are no files."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = [f"and {len(missing) - SHOWN} more photos of {source}"] if len(missing) > SHOWN else []
        raise InputError(*(f"photo {path} of {source} is missing" for path in missing[:SHOWN]), *more)
    return paths
