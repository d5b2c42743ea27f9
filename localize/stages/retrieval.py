"""Global descriptors of photos."""

import functools
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from localize.io.images import Reader, read_photo
from localize.keys import describe
from localize.retrieval.base import GlobalDescriptor, NothingLearned, PhotoSource, StoredDescriptor
from localize.stages.features import FeatureSet, OnePass, file_stamps, photo_digest, unless_replaced
from localize.stages.workbench import Workbench
from localize.store import Shelf
from localize.types import Features, GlobalVector, ImageList, InputError

IN_MEMORY_BYTES = 1 << 30  # of vectors; larger ones lie in a file


@dataclass(frozen=True, eq=False)
class GlobalDescriptors:
    """A global descriptor, what it learned from the references, and the vectors made so far."""

    component: GlobalDescriptor
    learned: object
    key: str
    shelf: Shelf
    stamps: dict  # of the component's files when the key was taken

    def item(self, features: FeatureSet, name: str) -> str:
        """The key of a photo's vector on the shelf: of its features, or of its bytes alone."""
        return (features.photos if self.component.needs == "pixels" else features.digests)[name]

    def seconds(self, features: FeatureSet, name: str) -> float:
        """How long the description of this photo took."""
        return self.shelf.seconds(self.item(features, name))


class _Lazy:
    """What there is of each photo, as a sequence that reads one at a time."""

    def __init__(self, names: Iterable[str], read: Callable):
        self.names, self.read = tuple(names), read

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int):
        return self.read(self.names[i])


def learn_retrieval(
    bench: Workbench, retrieval: GlobalDescriptor, references: ImageList, features: FeatureSet
) -> GlobalDescriptors:
    """What the global descriptor learns from the references, such as visual words.

    Vectors of pixels do not depend on the local feature, and those of a descriptor that learns nothing not on the
    references either: they are keyed without.
    """
    names, stamps = references.names, file_stamps(retrieval)
    if retrieval.needs in ("features", "both"):
        spec = {"retrieval": describe(retrieval), "features": features.key}
        spec["references"] = [features.digests[name] for name in names]
        sources = _Lazy(names, features.__getitem__)
        if retrieval.needs == "both":
            spec["reader"] = describe(Reader())
            sources = _Lazy(names, functools.partial(_both, features))
    else:
        spec = _of_pixels(retrieval)
        sources = _Lazy(names, lambda name: read_photo(features.paths[name]))
    fitted = spec if "references" in spec else {**spec, "references": [features.photos[name] for name in names]}
    learned, key = bench.artifact("retrieval_model", fitted, lambda: retrieval.fit(sources))
    alone = retrieval.needs == "pixels" and isinstance(learned, NothingLearned)
    shelf = bench.store.shelf("global_descriptors", spec if alone else {"model": key})
    return GlobalDescriptors(retrieval, learned, key, shelf, stamps)


def _of_pixels(retrieval: GlobalDescriptor) -> dict:
    """What decides the vectors of a descriptor of pixels that learns nothing."""
    return {"retrieval": describe(retrieval), "reader": describe(Reader())}


def one_pass(bench: Workbench, retrieval: GlobalDescriptor) -> OnePass:
    """The descriptor as `extract_features` makes it along with local features; it must learn nothing."""
    shelf = bench.store.shelf("global_descriptors", _of_pixels(retrieval))
    return OnePass(retrieval, NothingLearned(), shelf, file_stamps(retrieval))


def describe_photos(
    bench: Workbench,
    descriptors: GlobalDescriptors,
    images: ImageList,
    features: FeatureSet,
    name: str,
    dtype: str = "float32",
) -> np.ndarray:
    """Global descriptors (N, D) of photos. InputError names all those of which none can be made."""
    of_pixels = descriptors.component.needs in ("pixels", "both")
    work = functools.partial(_of_photo if of_pixels else _of_features, descriptors, features)
    read = functools.partial(_photo, features) if of_pixels else None
    items = {descriptors.item(features, n): n for n in images.names}
    failures = bench.fill(name, descriptors.shelf, items, work, read=read)
    if failures:
        raise InputError(*failures.values())
    rows = (descriptors.shelf.get(descriptors.item(features, n)).vector for n in images.names)
    return _stacked(rows, len(images), dtype)


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


def _of_features(descriptors: GlobalDescriptors, features: FeatureSet, name: str) -> GlobalVector:
    return GlobalVector(descriptors.component.describe(features[name], descriptors.learned))


def _photo(features: FeatureSet, name: str) -> np.ndarray | InputError:
    """The photo the keys speak of."""
    path = features.paths[name]
    try:
        photo = read_photo(path)
        replaced = photo_digest(path) != features.photos[name]
    except InputError as e:
        return e
    return InputError(f"photo {path} was replaced while the run was going on: run again") if replaced else photo


def _of_photo(
    descriptors: GlobalDescriptors, features: FeatureSet, name: str, photo: np.ndarray | InputError
) -> GlobalVector | InputError:
    if isinstance(photo, InputError):
        return photo
    try:
        local = features[name] if descriptors.component.needs == "both" else None
        vector = global_vector(descriptors.component, descriptors.learned, local, photo)
    except InputError as e:
        return e
    return unless_replaced(descriptors.stamps, GlobalVector(vector))


def read_vectors(
    bench: Workbench, retrieval: StoredDescriptor, images: ImageList, name: str, dtype: str = "float32"
) -> np.ndarray:
    """Global descriptors (N, D) of photos by their names. They lie in a file already, so the store has none."""
    with bench.stage(name) as record:
        record.computed = len(images)
        return _stacked((GlobalVector(retrieval.read(n)).vector for n in images.names), len(images), dtype)


def _both(features: FeatureSet, name: str) -> PhotoSource:
    return PhotoSource(lambda: features[name], lambda: read_photo(features.paths[name]))


def global_vector(
    retrieval: GlobalDescriptor, learned, features: Features | None, pixels: np.ndarray | None
) -> np.ndarray:
    """(D,) of one photo, from its features, its pixels (H, W, 3), or both, whichever the descriptor needs."""
    if retrieval.needs == "both":
        return retrieval.describe(PhotoSource(lambda: features, lambda: pixels), learned)
    return retrieval.describe(features if retrieval.needs == "features" else pixels, learned)
