"""Photos of a scene: where they lie, which of them can be read, and the features that were made of them."""

import functools
import logging
import pathlib
from dataclasses import dataclass

import numpy as np

from localize.features.base import DescribesGiven
from localize.io.images import read_photo
from localize.io.models.colmap_database import ColmapDatabase
from localize.io.models.supplied import check_model
from localize.keys import file_digest, file_stamp
from localize.mapping.base import MapImport
from localize.stages.workbench import Workbench
from localize.store import Shelved
from localize.types import ImageList, InputError, Scene

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, eq=False)
class PhotoList:
    """Photos root/<image name> that a stage is to look at."""

    kind: str  # reference or query: of the stages' names
    root: str
    images: ImageList
    given: GivenKeypoints | None = None  # None: the feature finds its own

    @functools.cached_property
    def paths(self) -> dict[str, pathlib.Path]:
        """By name."""
        return {name: pathlib.Path(self.root) / name for name in self.images.names}


def reference_photos(scene: Scene, use=None) -> PhotoList:
    """The references; with the keypoints that the supplied model counts, if the components `use` import it."""
    given = _keypoints_of_model(scene, use.feature) if use and isinstance(use.mapping, MapImport) else None
    return PhotoList("reference", scene.image_root, scene.references, given)


def query_photos(scene: Scene, images: ImageList | None = None) -> PhotoList:
    """The queries, or those of the images, such as the ones whose true poses are known."""
    return PhotoList("query", scene.query_root or scene.image_root, scene.queries if images is None else images)


def _keypoints_of_model(scene: Scene, feature) -> GivenKeypoints | None:
    """The keypoints that the supplied model counts; None if they are the feature's own."""
    files = scene.supplied
    if files is None:
        raise InputError(f"{scene.name} comes without a 3D model to import: take mapping=triangulation")
    check_model(pathlib.Path(files.model))
    if files.database is None:
        return None
    if not isinstance(feature, DescribesGiven):
        raise InputError(
            f"{type(feature).__name__} cannot describe the keypoints of {files.database}: take another feature, or "
            "mapping=triangulation"
        )
    names = {name: in_model.removeprefix("./") for name, in_model in files.names.items()}
    return GivenKeypoints(ColmapDatabase(files.database), names)


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos that can be read, and their local features if something asked for them."""

    kind: str
    images: ImageList
    paths: dict[str, pathlib.Path]
    digests: dict[str, str]  # of the photos' bytes
    features: Shelved | None = None

    def read(self, name: str, *, grey: bool = False) -> np.ndarray:
        """The pixels that the digest speaks of, as `read_photo`; InputError if the photo was replaced meanwhile."""
        photo = read_photo(self.paths[name], grey=grey)
        unless_replaced(self.paths[name], self.digests[name])
        return photo


def find_photos(bench: Workbench, photos: PhotoList) -> Photos:
    """Those that can be read, without features, for what looks at pixels alone."""
    paths = photos.paths
    found = dict(zip(paths, (digest for digest, _ in bench.map(_whole_photo, list(paths.values()))), strict=True))
    bad = {str(paths[name]): str(digest) for name, digest in found.items() if isinstance(digest, InputError)}
    for sentence in bad.values():
        log.error("%s; left out, the rest goes on", sentence)
    bench.unreadable.update(bad)
    images = ImageList(i for i in photos.images if str(paths[i.name]) not in bad)
    return Photos(photos.kind, images, paths, found)


def _whole_photo(path: pathlib.Path) -> str:
    """The digest of a photo that can be read to its end."""
    read_photo(path)
    return photo_digest(path)


def photo_digests(bench: Workbench, photos: PhotoList) -> dict[str, str]:
    """Of each photo's bytes, by name; InputError if one cannot be read."""
    paths = photos.paths
    digests = dict(zip(paths, (digest for digest, _ in bench.map(photo_digest, list(paths.values()))), strict=True))
    missing = [digest for digest in digests.values() if isinstance(digest, InputError)]
    if missing:
        raise missing[0]
    return digests


def photo_digest(path: pathlib.Path) -> str:
    """Digest of a photo's bytes; InputError if it cannot be read."""
    try:
        return file_digest(path)
    except OSError as e:
        raise InputError(f"photo {path} cannot be read ({e.strerror})") from e


def unless_replaced(path: pathlib.Path, digest: str) -> None:
    """InputError if a photo is not any more what its digest says."""
    if photo_digest(path) != digest:
        raise InputError(f"photo {path} was replaced while the run was going on: run again")


class Stamps:
    """Files as they were when a key was taken of their content."""

    def __init__(self, paths: list[str]):
        self._stamps = {path: file_stamp(path) for path in paths}

    def check(self) -> None:
        """InputError if a file is another one by now."""
        for path, stamp in self._stamps.items():
            if file_stamp(path) != stamp:
                raise InputError(f"file {path} was replaced while the run was going on: run again")
