"""Local features of photos."""

import functools
import logging
import os
import pathlib
import time
from dataclasses import dataclass

import numpy as np

from localize.features.base import LocalFeature, StoredFeature
from localize.io.colmap_database import ColmapDatabase
from localize.io.images import Reader, read_photo
from localize.keys import describe, file_digest, file_stamp, key_of
from localize.retrieval.base import GlobalDescriptor
from localize.stages.workbench import Beside, Workbench
from localize.store import Shelf
from localize.types import Features, GlobalVector, ImageList, InputError

log = logging.getLogger(__name__)


class FeatureSet:
    """Features of photos by name, read from the store when asked for; the last few stay in memory."""

    def __init__(self, shelf: Shelf, paths: dict[str, pathlib.Path], digests: dict[str, str], photos: dict[str, str]):
        """digests: the key of each photo's features on the shelf; photos: the digest of its bytes."""
        self.shelf, self.paths, self.digests, self.photos = shelf, paths, digests, photos
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


def photo_digest(path: str | os.PathLike) -> str:
    """Digest of a photo's bytes; InputError if it cannot be read."""
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


def _read_photo(grey: bool, job: _Job) -> np.ndarray | InputError:
    try:
        return read_photo(job.path, grey=grey)
    except InputError as e:
        return e


def _extract(
    feature: LocalFeature, given: GivenKeypoints | None, stamps: dict, job: _Job, photo: np.ndarray | InputError
) -> Features | InputError:
    if isinstance(photo, InputError):
        return photo
    try:
        features = feature.extract(photo) if given is None else feature.describe_at(photo, *given.of(job.name))
    except InputError as e:
        return e
    height, width = photo.shape[:2]
    inside = (features.keypoints >= 0) & (features.keypoints <= (width, height))
    if given is None and not inside.all():
        raise ValueError(f"{type(feature).__name__} returned keypoints outside {job.path} ({width} x {height} px)")
    if photo_digest(job.path) != job.digest:
        return InputError(f"photo {job.path} was replaced while the run was going on: run again")
    return unless_replaced(stamps, features)


@dataclass(frozen=True, eq=False)
class OnePass:
    """A descriptor of pixels, made along with the local features where both read the map of one network."""

    component: GlobalDescriptor
    learned: object
    shelf: Shelf
    stamps: dict  # of the component's files when the key was taken


def _extract_both(
    feature: LocalFeature, other: GlobalDescriptor, learned, stamps: dict, job: _Job, photo: np.ndarray | InputError
) -> tuple[Features, GlobalVector, float] | InputError:
    """The features, the global descriptor, and the seconds of the latter."""
    features = _extract(feature, None, stamps, job, photo)
    if isinstance(features, InputError):
        return features
    start = time.perf_counter()
    try:
        vector = GlobalVector(other.describe(photo, learned))
    except InputError as e:
        return e
    return unless_replaced(stamps, (features, vector, time.perf_counter() - start))


def _read(feature: StoredFeature, stamps: dict, job: _Job) -> Features | InputError:
    stamps = stamps | {path: file_stamp(path) for path in _files_of(feature, job.name)}
    try:
        features = feature.read(job.name, job.width, job.height)
    except InputError as e:
        return e
    return unless_replaced(stamps, features)


def _files_of(feature: StoredFeature, name: str) -> list[str]:
    """The files that hold this photo's features and no other's."""
    return feature.files_of(name) if hasattr(feature, "files_of") else []


def file_stamps(component) -> dict[str, tuple | None]:
    """The stamps of the files whose content decides what the component makes."""
    return {path: file_stamp(path) for path in component.files()} if hasattr(component, "files") else {}


def unless_replaced(stamps: dict, made):
    """What was made, if the files it comes from are still the ones of the key; else an InputError."""
    replaced = [path for path, stamp in stamps.items() if file_stamp(path) != stamp]
    if replaced:
        return InputError(f"file {replaced[0]} was replaced while the run was going on: run again")
    return made


def extract_features(
    bench: Workbench,
    feature: LocalFeature | StoredFeature,
    root: str,
    images: ImageList,
    name: str,
    given: GivenKeypoints | None = None,
    one_pass: OnePass | None = None,
) -> FeatureSet:
    """Features of the photos root/<image name>: detected, described at given keypoints, or read from a file by name.

    Keyed by the photo's bytes, and those of its given keypoints and of the feature's files: what is replaced is new.
    one_pass: what else to make of each photo that is described anew.
    """
    paths = {image.name: pathlib.Path(root) / image.name for image in images}
    photos = dict(zip(paths, (d for d, _ in bench.map(photo_digest, list(paths.values()))), strict=True))
    jobs = {i.name: _Job(i.name, paths[i.name], photos[i.name], i.camera.width, i.camera.height) for i in images}
    stamps = file_stamps(feature)
    stored, read, beside = hasattr(feature, "read"), None, None
    if stored:  # of two equal photos, each has the features of its own name
        work, reader = functools.partial(_read, feature, stamps), None
        own = {n: [file_digest(path) for path in _files_of(feature, n)] for n in jobs}
        items = {n: key_of([job.digest, n, job.width, job.height, *own[n]]) for n, job in jobs.items()}
    else:
        work, reader = functools.partial(_extract, feature, given, stamps), describe(Reader())
        items = {n: d if given is None else key_of([d, *given.of(n)]) for n, d in photos.items()}
        read = functools.partial(_read_photo, feature.grey)
    if one_pass and given is None and not stored:
        both = feature, one_pass.component, one_pass.learned, stamps | one_pass.stamps
        work, beside = functools.partial(_extract_both, *both), Beside(one_pass.shelf)
    shelf = bench.store.shelf("features", {"feature": describe(feature), "reader": reader})
    todo = {items[n]: jobs[n] for n in paths}
    failures = bench.fill(name, shelf, todo, work, read=read, beside=beside, processes=not stored)
    bench.unreadable.update({str(paths[n]): failures[items[n]] for n in paths if items[n] in failures})
    return FeatureSet(shelf, paths, items, photos)


def find_photos(bench: Workbench, root: str, images: ImageList) -> tuple[ImageList, FeatureSet]:
    """The images whose photo can be read, and a set without features for what looks at pixels alone."""
    paths = {image.name: pathlib.Path(root) / image.name for image in images}
    found = dict(zip(paths, (d for d, _ in bench.map(_whole_photo, list(paths.values()))), strict=True))
    bad = {str(paths[name]): str(d) for name, d in found.items() if isinstance(d, InputError)}
    for sentence in bad.values():
        log.error("%s; left out, the rest goes on", sentence)
    bench.unreadable.update(bad)
    photos = {name: d for name, d in found.items() if not isinstance(d, InputError)}
    readable = ImageList(tuple(image for image in images if image.name in photos))
    return readable, FeatureSet(bench.store.shelf("features", {"feature": None}), paths, {}, photos)


def _whole_photo(path: pathlib.Path) -> str | InputError:
    """The digest of a photo that can be read to its end."""
    try:
        read_photo(path)
        return photo_digest(path)
    except InputError as e:
        return e
