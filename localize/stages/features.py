"""Local and global descriptors of photos."""

import functools
import os
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from localize.features.base import LocalFeature, StoredFeature
from localize.io.colmap_database import ColmapDatabase
from localize.io.images import Reader, read_photo
from localize.keys import describe, file_digest, file_stamp, key_of
from localize.retrieval.base import GlobalDescriptor, StoredDescriptor
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


def _digest(path: str | os.PathLike) -> str:
    try:
        return file_digest(path)
    except OSError as e:
        raise InputError(f"photo {path} cannot be read ({e.strerror})") from e


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


@dataclass(frozen=True)
class _Job:
    name: str
    path: pathlib.Path
    digest: str  # of the photo's bytes
    width: int
    height: int


def _extract(feature: LocalFeature, given: GivenKeypoints | None, stamps: dict, job: _Job) -> Features | InputError:
    try:
        photo = read_photo(job.path, grey=feature.grey)
        features = feature.extract(photo) if given is None else feature.describe_at(photo, *given.of(job.name))
    except InputError as e:
        return e
    height, width = photo.shape[:2]
    inside = (features.keypoints >= 0) & (features.keypoints <= (width, height))
    if given is None and not inside.all():
        raise ValueError(f"{type(feature).__name__} returned keypoints outside {job.path} ({width} x {height} px)")
    if _digest(job.path) != job.digest:
        return InputError(f"photo {job.path} was replaced while the run was going on: run again")
    return _unless_replaced(stamps, features)


def _read(feature: StoredFeature, stamps: dict, job: _Job) -> Features | InputError:
    try:
        features = feature.read(job.name, job.width, job.height)
    except InputError as e:
        return e
    return _unless_replaced(stamps, features)


def _unless_replaced(stamps: dict, features: Features) -> Features | InputError:
    """The features, if the files they come from are still the ones of the key."""
    replaced = [path for path, stamp in stamps.items() if file_stamp(path) != stamp]
    if replaced:
        return InputError(f"file {replaced[0]} was replaced while the run was going on: run again")
    return features


def extract_features(
    bench: Workbench,
    feature: LocalFeature | StoredFeature,
    root: str,
    images: ImageList,
    name: str,
    given: GivenKeypoints | None = None,
) -> FeatureSet:
    """Features of the photos root/<image name>: detected, described at given keypoints, or read from a file by name.

    Keyed by the photo's bytes, and those of its given keypoints and of the feature's files: what is replaced is new.
    """
    paths = {image.name: pathlib.Path(root) / image.name for image in images}
    photos = dict(zip(paths, (d for d, _ in bench.map(_digest, list(paths.values()))), strict=True))
    jobs = {i.name: _Job(i.name, paths[i.name], photos[i.name], i.camera.width, i.camera.height) for i in images}
    stamps = {path: file_stamp(path) for path in feature.files()} if hasattr(feature, "files") else {}
    stored = hasattr(feature, "read")
    if stored:  # of two equal photos, each has the features of its own name
        work, reader = functools.partial(_read, feature, stamps), None
        items = {n: key_of([job.digest, n, job.width, job.height]) for n, job in jobs.items()}
    else:
        work, reader = functools.partial(_extract, feature, given, stamps), describe(Reader())
        items = {n: d if given is None else key_of([d, *given.of(n)]) for n, d in photos.items()}
    shelf = bench.store.shelf("features", {"feature": describe(feature), "reader": reader})
    failures = bench.fill(name, shelf, {items[n]: jobs[n] for n in paths}, work, processes=not stored)
    bench.unreadable.update({str(paths[n]): failures[items[n]] for n in paths if items[n] in failures})
    return FeatureSet(shelf, paths, items)


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


def read_vectors(bench: Workbench, retrieval: StoredDescriptor, images: ImageList, name: str) -> np.ndarray:
    """Global descriptors (N, D) float32 of photos by their names. They lie in a file already, so the store has none."""
    with bench.stage(name) as record:
        record.computed = len(images)
        rows = [GlobalVector(retrieval.read(n)).vector for n in images.names]
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
