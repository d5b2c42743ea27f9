"""Global descriptors of photos: one vector each, learned from the references where the descriptor learns."""

import functools
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from localize.components import files_of
from localize.io.images import Reader, read_photo
from localize.keys import describe
from localize.retrieval.base import (
    GivenRanking,
    GlobalDescriptor,
    NothingLearned,
    PhotoSource,
    StoredDescriptor,
)
from localize.stages.photos import Photos, Stamps, check_enough, learn_shown
from localize.stages.ranking import BuiltRanking, build_ranking
from localize.stages.workbench import Workbench
from localize.store import Shelf
from localize.types import Features, GlobalVector

if TYPE_CHECKING:
    from localize.roles import Components

IN_MEMORY_BYTES = 1 << 30  # of vectors; larger ones lie in a file


@dataclass(frozen=True, eq=False)
class DescribedPhotos:
    """Photos and their global descriptors."""

    photos: Photos
    vectors: np.ndarray | None  # (N, D) float32 or float16; None where a list of pairs stands in for them
    seconds: dict[str, float] = field(default_factory=dict)  # of each description; none where the vectors lie in a file


class Describer(Protocol):
    """What makes vectors that may be compared with one another."""

    learned: object  # from the references

    def describe(self, bench: Workbench, photos: Photos, dtype: str = "float32") -> DescribedPhotos:
        """The photos with their vectors in this precision. InputError names all those of which none can be made."""
        ...


@dataclass(frozen=True, eq=False)
class DescribedReferences(DescribedPhotos):
    """The references with their global descriptors, what describes other photos alike, and how they are searched."""

    by: Describer | None = None
    ranking: BuiltRanking | None = None


def describe_references(bench: Workbench, use: "Components", references: Photos) -> DescribedReferences:
    """The references with their global descriptors, after those have learned from them what they learn.

    Of a list of pairs (a GivenRanking) nothing is described.
    """
    check_enough(references)
    retrieval = use.retrieval
    if isinstance(retrieval, GivenRanking):
        return DescribedReferences(references, None, ranking=BuiltRanking(use.ranking))
    stored = isinstance(retrieval, StoredDescriptor)
    by = _Stored(retrieval) if stored else learn_descriptor(bench, retrieval, references)
    made = by.describe(bench, references, use.ranking.vectors_dtype)
    built = build_ranking(bench, use.ranking, made.vectors)
    return DescribedReferences(references, made.vectors, made.seconds, by, built)


@dataclass(frozen=True, eq=False)
class _Stored:
    """Vectors that lie in a file already, so the store has none."""

    component: StoredDescriptor
    learned: object = None

    def describe(self, bench: Workbench, photos: Photos, dtype: str = "float32") -> DescribedPhotos:
        names = photos.images.names
        with bench.stage(f"{photos.kind}_global") as record:
            record.computed = len(names)
            vectors = _stacked((GlobalVector(self.component.read(n)).vector for n in names), len(names), dtype)
        return DescribedPhotos(photos, vectors, {})


@dataclass(frozen=True, eq=False)
class _Learned:
    """A global descriptor, what it learned from the references, and where its vectors are kept."""

    component: GlobalDescriptor
    learned: object
    shelf: Shelf
    stamps: Stamps  # of the component's files when the key was taken

    def describe(self, bench: Workbench, photos: Photos, dtype: str = "float32") -> DescribedPhotos:
        of_features = self.component.needs == "features"
        keys = photos.digests if self.component.needs == "pixels" else photos.features.item_keys
        keys = {name: keys[name] for name in photos.images.names}
        work = functools.partial(self._vector, photos)
        made = bench.fill(f"{photos.kind}_global", self.shelf, keys, work, read=None if of_features else photos.read)
        vectors = _stacked((made[name].vector for name in keys), len(keys), dtype)
        return DescribedPhotos(photos, vectors, {name: made.seconds(name) for name in keys})

    def _vector(self, photos: Photos, name: str, pixels: np.ndarray | None = None) -> GlobalVector:
        features = None if self.component.needs == "pixels" else photos.features[name]
        vector = global_vector(self.component, self.learned, features, pixels)
        self.stamps.check()
        return GlobalVector(vector)


def learn_descriptor(bench: Workbench, retrieval: GlobalDescriptor, references: Photos) -> _Learned:
    """The descriptor after it has learned from the references, such as visual words.

    Vectors of pixels do not depend on the local feature, and those of a descriptor that learns nothing not on the
    references either: they are keyed without.
    """
    names, stamps = references.images.names, Stamps(files_of(retrieval))
    spec = {"retrieval": describe(retrieval)}
    if retrieval.needs != "features":
        spec["reader"] = describe(Reader())
    fitted = dict(spec)
    if retrieval.needs == "pixels":
        fitted["references"] = [references.digests[name] for name in names]
    else:
        fitted |= {"features": references.features.key, "references": [references.features.item_keys[n] for n in names]}
    read, stage = functools.partial(source_of, retrieval.needs, references), "retrieval_model"
    learned, key = bench.artifact(stage, fitted, lambda: learn_shown(bench, stage, retrieval.fit, names, read))
    alone = retrieval.needs == "pixels" and isinstance(learned, NothingLearned)
    shelf = bench.store.shelf("global_descriptors", spec if alone else {"model": key})
    return _Learned(retrieval, learned, shelf, stamps)


def source_of(needs: str, photos: Photos, name: str) -> Features | np.ndarray | PhotoSource:
    """What a descriptor looks at of a photo, read now, or when it is asked for."""
    read_pixels = functools.partial(read_photo, photos.paths[name])
    if needs == "both":
        return PhotoSource(lambda: photos.features[name], read_pixels)
    return photos.features[name] if needs == "features" else read_pixels()


def global_vector(
    retrieval: GlobalDescriptor, learned, features: Features | None, pixels: np.ndarray | None
) -> np.ndarray:
    """(D,) of one photo, from its features, its pixels (H, W, 3), or both, whichever the descriptor needs."""
    if retrieval.needs == "both":
        return retrieval.describe(PhotoSource(lambda: features, lambda: pixels), learned)
    return retrieval.describe(features if retrieval.needs == "features" else pixels, learned)


def _stacked(rows: Iterable[np.ndarray], count: int, dtype: str) -> np.ndarray:
    """(count, D) from one row after the other; beyond IN_MEMORY_BYTES in a nameless file of $TMPDIR, memory-mapped."""
    whole = np.zeros((0, 1), dtype)
    for i, row in enumerate(rows):
        if i == 0:
            shape = (count, len(row))
            if count * len(row) * np.dtype(dtype).itemsize <= IN_MEMORY_BYTES:
                whole = np.empty(shape, dtype)
            else:
                with tempfile.TemporaryFile(prefix="localize-vectors-") as file:
                    whole = np.memmap(file, dtype, "w+", shape=shape)  # the mapping outlives the file's name
        whole[i] = row
    return whole
