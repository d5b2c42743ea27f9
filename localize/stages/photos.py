"""Photos of a scene: where they lie, which of them can be read, and the features that were made of them."""

import functools
import logging
import pathlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from localize.components import files_of
from localize.io.images import Reader, is_deep, read_photo
from localize.io.masks import MaskOf, Masks
from localize.keys import describe, file_digest, file_stamp
from localize.stages.shelved import Shelved
from localize.stages.workbench import Workbench
from localize.types import ImageList, InputError, Scene

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PhotoList:
    """Photos root/<image name> that a stage is to look at."""

    kind: str  # reference or query: of the stages' names
    root: str
    images: ImageList
    masks: Masks | MaskOf | None = None
    files: Mapping[str, pathlib.Path] | None = None  # where each lies, if not below one root

    @functools.cached_property
    def paths(self) -> dict[str, pathlib.Path]:
        """By name."""
        if self.files is not None:
            return {name: self.files[name] for name in self.images.names}
        return {name: pathlib.Path(self.root) / name for name in self.images.names}


def reference_photos(scene: Scene) -> PhotoList:
    """The references."""
    return PhotoList("reference", scene.image_root, scene.references, masks_of(scene))


def query_photos(scene: Scene, images: ImageList | None = None) -> PhotoList:
    """The queries, or those of the images, such as the ones whose true poses are known."""
    images = scene.queries if images is None else images
    return PhotoList("query", scene.query_root or scene.image_root, images, masks_of(scene))


def masks_of(scene: Scene) -> Masks | None:
    """What of the photos is to be ignored, if something is."""
    return None if scene.masks is None else Masks(pathlib.Path(scene.masks))


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


def check_enough(references: Photos) -> None:
    """InputError if there are too few for a map."""
    if len(references.images) < 2:
        raise InputError(f"{len(references.images)} reference photos can be used, but a map needs at least 2")


def find_photos(bench: Workbench, photos: PhotoList) -> Photos:
    """Those that can be read to their end, without features, for what looks at pixels alone."""
    return _without_unreadable(bench, photos, _whole_photo)


def with_digests(bench: Workbench, photos: PhotoList) -> Photos:
    """Those whose bytes can be read; whether they are pictures shows later."""
    return _without_unreadable(bench, photos, _digest)


def _without_unreadable(bench: Workbench, photos: PhotoList, look: Callable) -> Photos:
    """Those of which `look(path)` makes a digest; the others, of which it makes an InputError, are named."""
    paths = photos.paths
    with bench.bar(f"{photos.kind}_photos", len(paths)) as bar:
        found = {}
        for name, (digest, _) in zip(paths, bench.map(look, list(paths.values())), strict=True):
            found[name] = digest
            bar.update()
    digests = {name: digest for name, digest in found.items() if isinstance(digest, str)}
    bad = {str(paths[name]): str(found[name]) for name in found if name not in digests}
    for sentence in bad.values():
        log.error("%s; left out, the rest goes on", sentence)
    bench.unreadable.update(bad)
    images = ImageList(image for image in photos.images if image.name in digests)
    return Photos(photos.kind, images, paths, digests)


def _whole_photo(path: pathlib.Path) -> str | InputError:
    try:
        read_photo(path)
    except InputError as e:
        return e
    return _digest(path)


def _digest(path: pathlib.Path) -> str | InputError:
    try:
        return photo_digest(path)
    except InputError as e:
        return e


def photo_digest(path: pathlib.Path) -> str:
    """Digest of a photo's bytes; InputError if it cannot be read.

    One of 16 bits has another than it once had, as its values are read otherwise since.
    """
    try:
        return file_digest(path) + ("-deep" if is_deep(path) else "")
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


class Lazy:
    """What there is of each photo, as a sequence that reads one at a time."""

    def __init__(self, names: Iterable[str], read: Callable):
        self.names, self.read = tuple(names), read

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int):
        return self.read(self.names[i])


def learn_shown(bench: Workbench, name: str, learn: Callable, names: Iterable[str], read: Callable):
    """What `learn` makes of what `read` gives for the names, which are counted as they are read."""
    with bench.bar(name) as bar:

        def counted(asked: str):
            bar.update()
            return read(asked)

        return learn(Lazy(names, counted))


@dataclass(frozen=True, eq=False)
class LearnedFrom:
    """What a component learned from photos, of which it sees the pixels, and under which key."""

    learned: object
    key: str
    spec: dict  # of the component alone
    stamps: Stamps  # of the component's files when the key was taken


def learn_from(bench: Workbench, name: str, role: str, component, photos: Photos) -> LearnedFrom:
    """What `component.learn(photos)` makes, from the store or now. name: of the artifact; role: of the component."""
    stamps, names = Stamps(files_of(component)), photos.images.names
    spec = {role: describe(component, building=True), "reader": describe(Reader())}
    fitted = spec | {"references": [photos.digests[name] for name in names]}
    learned, key = bench.artifact(name, fitted, lambda: learn_shown(bench, name, component.learn, names, photos.read))
    return LearnedFrom(learned, key, spec, stamps)
