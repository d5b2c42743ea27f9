"""Photos that a map is to be extended by: their names in it, and their cameras."""

import dataclasses
import os
import pathlib
from collections import Counter
from dataclasses import dataclass, field

from localize.datasets.shared.checks import check_cameras, check_query_names
from localize.io.devices import KnownCameras, TakenBy
from localize.io.images import check_photo, list_photos
from localize.io.masks import MaskOf, Masks
from localize.io.text import read_query_list
from localize.pipelines.kept_map import OpenedMap
from localize.stages import PhotoList, Workbench
from localize.stages.photos import photo_digest
from localize.types import Image, ImageList, InputError, PoseEstimate


@dataclass(frozen=True, eq=False)
class NewPhotos:
    """Photos without poses. Names are theirs in the map: another one than the file's where a reference has that."""

    images: ImageList
    files: dict[str, pathlib.Path]
    masks: dict[str, pathlib.Path] = field(default_factory=dict)
    lenses: dict[str, str] = field(default_factory=dict)  # by name of those whose intrinsics are not known
    left_out: dict[str, str] = field(default_factory=dict)  # why, by file
    same: dict[str, str] = field(default_factory=dict)  # references that are the same photo, byte by byte, by file
    cameras: dict[str, int] = field(default_factory=dict)  # how many cameras were taken from where

    @property
    def photos(self) -> PhotoList:
        """As the stages take them."""
        return PhotoList("query", "", self.images, MaskOf(self.masks), self.files)

    def but(self, names) -> "NewPhotos":
        """Without some of them."""
        return dataclasses.replace(self, images=ImageList(i for i in self.images if i.name not in names))

    def placed(self, estimates: dict[str, PoseEstimate]) -> ImageList:
        """Those that have estimates, as references; photos of one lens that was estimated get one camera."""
        found = [image for image in self.images if image.name in estimates]
        cameras = {image.name: estimates[image.name].camera or image.camera for image in found}
        of_lens: dict[str, list[str]] = {}
        for image in found:
            if image.name in self.lenses:
                of_lens.setdefault(self.lenses[image.name], []).append(image.name)
        for names in of_lens.values():
            middle = sorted((cameras[name] for name in names), key=lambda c: c.focal_px)[len(names) // 2]
            cameras.update(dict.fromkeys(names, middle))
        return ImageList(Image(i.name, cameras[i.name], estimates[i.name].pose) for i in found)


def find_new_photos(
    bench: Workbench, opened: OpenedMap, folder: str | None, cameras: str | None, masks: str | None
) -> NewPhotos:
    """The photos below a folder that the map does not have; None: none.

    cameras: list of lines `name MODEL width height params...`, by names below the folder; photos that it does not name
    have the camera of the references of the same size and device, or that of their EXIF, or an unknown one. masks: as
    in `Scene`. InputError for a folder without photos, or a list that cannot be used.
    """
    if folder is None:
        return NewPhotos(ImageList(), {})
    root = pathlib.Path(folder).expanduser().absolute()
    found = list_photos(root) if root.is_dir() else []
    if not found:
        raise InputError(f"folder {root} holds no photos: name the folder of the new ones with pipeline.photos=FOLDER")
    given, own = _given(cameras, root, found), opened.references
    known = KnownCameras([(image.camera, own.files[image.name]) for image in own.images])
    there = {digest: name for name, digest in opened.digests.items()}
    names, images, files, lenses, left_out, same, sources = set(own.images.names), [], {}, {}, {}, {}, Counter()
    for file, (digest, _) in zip(found, bench.map(_digest, [root / file for file in found]), strict=True):
        if there.get(digest) in own.images.by_name:
            same[file] = there[digest]
            continue
        try:
            taken = _taken(root / file, there.get(digest), given.get(file), known)
        except InputError as e:
            left_out[file] = str(e)
            continue
        name = unused(file, root.name, names)
        names.add(name)
        there[digest], files[name] = name, root / file
        images.append(Image(name, taken.camera, prior=taken.prior))
        sources[taken.source] += 1
        if taken.prior is not None and taken.prior.focal != "given":
            lenses[name] = taken.lens or name
    problems: list[str] = []
    check_cameras([], images, problems)
    check_query_names(images, problems)
    if problems:
        raise InputError(*problems)
    shown = Masks(pathlib.Path(masks).expanduser().absolute()) if masks else MaskOf({})
    of = {name: mask for name, path in files.items() if (mask := shown.of(os.path.relpath(path, root)))}
    return NewPhotos(ImageList(images), files, of, lenses, left_out, same, dict(sources))


def _taken(path: pathlib.Path, twin: str | None, given: Image | None, known: KnownCameras) -> TakenBy:
    """The camera of a photo; InputError, saying why, if the photo cannot be used. twin: the same photo elsewhere."""
    if twin is not None:
        raise InputError(f"it is the same photo as {twin}, which is new too, or to be removed")
    taken = TakenBy(given.camera, given.prior, "", "the list") if given else known.of(path)
    problem, _ = check_photo(path, taken.camera)
    if problem:
        raise InputError(problem)
    return taken


def unused(name: str, folder: str, taken: set[str]) -> str:
    """The name, or one with the folder's name before it, where it is taken already."""
    new, number = name, 1
    while new in taken:
        new, number = f"{folder}{number if number > 1 else ''}/{name}", number + 1
    return new


def _given(cameras: str | None, root: pathlib.Path, found: list[str]) -> dict[str, Image]:
    if cameras is None:
        return {}
    problems: list[str] = []
    images = read_query_list(pathlib.Path(cameras).expanduser(), problems, names=set(found))
    strange = [image.name for image in images if image.name not in set(found)]
    if strange:
        problems.append(f"{cameras} names {len(strange)} photos, such as {strange[0]}, that are not in {root}")
    if problems:
        raise InputError(*problems)
    return {image.name: image for image in images}


def _digest(path: pathlib.Path) -> str:
    """Of the bytes; the path of a photo that cannot be read, whose camera will say so."""
    try:
        return photo_digest(path)
    except InputError:
        return str(path)
