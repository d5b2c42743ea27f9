"""Local and global descriptors of photos."""

import functools
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from localize.features.base import LocalFeature
from localize.io.images import Reader, read_photo
from localize.keys import describe, file_digest
from localize.retrieval.base import GlobalDescriptor
from localize.retrieval.ranking import rank
from localize.stages.workbench import Workbench
from localize.store import Shelf
from localize.types import Features, GlobalVector, ImageList, InputError, Retrieval


class FeatureSet:
    """Features of photos by name, read from the store when asked for; the last few stay in memory."""

    def __init__(self, shelf: Shelf, paths: dict[str, pathlib.Path], digests: dict[str, str]):
        self.shelf, self.paths, self.digests = shelf, paths, digests
        self._read = functools.lru_cache(maxsize=32)(shelf.get)

    @property
    def key(self) -> str:
        """Key of the feature and its settings, whatever the photos."""
        return self.shelf.key

    def __getitem__(self, name: str) -> Features:
        return self._read(self.digests[name])

    def __contains__(self, name: str) -> bool:
        return name in self.digests and self.digests[name] in self.shelf

    def readable(self, images: ImageList) -> ImageList:
        """The images whose photo could be read."""
        return ImageList(tuple(image for image in images if image.name in self))

    def seconds(self, name: str) -> float:
        """How long the extraction of this photo took."""
        return self.shelf.seconds(self.digests[name])


def _digest(path: pathlib.Path) -> str:
    try:
        return file_digest(path)
    except OSError as e:
        raise InputError(f"photo {path} cannot be read ({e.strerror})") from e


def _extract(feature: LocalFeature, job: tuple[pathlib.Path, str]) -> Features | InputError:
    path, digest = job
    try:
        photo = read_photo(path, grey=feature.grey)
    except InputError as e:
        return e
    features = feature.extract(photo)
    height, width = photo.shape[:2]
    if len(features) and not ((features.keypoints >= 0) & (features.keypoints <= (width, height))).all():
        raise ValueError(f"{type(feature).__name__} returned keypoints outside {path} ({width} x {height} px)")
    if _digest(path) != digest:
        return InputError(f"photo {path} was replaced while the run was going on: run again")
    return features


def extract_features(bench: Workbench, feature: LocalFeature, root: str, images: ImageList, name: str) -> FeatureSet:
    """Features of the photos root/<image name>. Keyed by the photo's bytes: a replaced photo is a new one."""
    shelf = bench.store.shelf("features", {"feature": describe(feature), "reader": describe(Reader())})
    paths = {image.name: pathlib.Path(root) / image.name for image in images}
    digests = dict(zip(paths, (d for d, _ in bench.map(_digest, list(paths.values()))), strict=True))
    todo = {digests[n]: (paths[n], digests[n]) for n in paths}
    failures = bench.fill(name, shelf, todo, functools.partial(_extract, feature), processes=True)
    bench.unreadable.update({str(paths[n]): failures[digests[n]] for n in paths if digests[n] in failures})
    return FeatureSet(shelf, paths, digests)


@dataclass(frozen=True, eq=False)
class GlobalDescriptors:
    """A global descriptor, what it learned from the references, and the vectors made so far."""

    component: GlobalDescriptor
    learned: object
    key: str
    shelf: Shelf


def learn_retrieval(
    bench: Workbench, retrieval: GlobalDescriptor, references: ImageList, features: FeatureSet
) -> GlobalDescriptors:
    """What the global descriptor learns from the references, such as visual words."""
    spec = {
        "retrieval": describe(retrieval),
        "features": features.key,
        "references": [features.digests[name] for name in references.names],
    }
    learned, key = bench.artifact("retrieval_model", spec, lambda: retrieval.fit(_Lazy(references.names, features)))
    return GlobalDescriptors(retrieval, learned, key, bench.store.shelf("global_descriptors", {"model": key}))


def describe_photos(
    bench: Workbench, descriptors: GlobalDescriptors, images: ImageList, features: FeatureSet, name: str
) -> np.ndarray:
    """Global descriptors (N, D) float32 of photos."""

    def work(photo: str) -> GlobalVector:
        return GlobalVector(
            global_vector(descriptors.component, descriptors.learned, features[photo], features.paths[photo])
        )

    bench.fill(name, descriptors.shelf, {features.digests[n]: n for n in images.names}, work)
    rows = [descriptors.shelf.get(features.digests[n]).vector for n in images.names]
    return np.stack(rows) if rows else np.zeros((0, 1), np.float32)


class _Lazy:
    """The references' features as a sequence that reads one at a time."""

    def __init__(self, names: Iterable[str], features: FeatureSet):
        self.names, self.features = tuple(names), features

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> Features:
        return self.features[self.names[i]]


def global_vector(retrieval: GlobalDescriptor, learned, features: Features, path_or_pixels) -> np.ndarray:
    """(D,) of one photo, from its features or its pixels, whichever the descriptor needs."""
    if retrieval.needs == "features":
        return retrieval.describe(features, learned)
    pixels = path_or_pixels if isinstance(path_or_pixels, np.ndarray) else read_photo(path_or_pixels)
    return retrieval.describe(pixels, learned)


def rank_photos(
    bench: Workbench, queries: ImageList, query_vectors, references: ImageList, reference_vectors, num_frames: int
) -> Retrieval:
    """The references most similar to each query, best first."""
    with bench.stage("ranking") as record:
        record.computed = 1
        return rank(queries, query_vectors, references, reference_vectors, num_frames)
