"""A map on its way to disk, and taken up again: its references, with their photos, to be mapped with others."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from localize.io.masks import MaskOf
from localize.io.records import trusted_by
from localize.localizer import Localizer
from localize.mapping.base import MapImport
from localize.mapping.triangulation import Triangulation
from localize.pipelines.mapped_scene import MappedScene, map_scene
from localize.roles import Components
from localize.saved_maps import MapSources, SavedMap, components_as_text
from localize.stages import BuiltIndex, PhotoList, Workbench, build_index, keep_regions
from localize.stages.photos import photo_digest
from localize.types import ImageList, InputError, Scene


@dataclass(frozen=True, eq=False)
class PlacedPhotos:
    """References, in one frame, whose photos lie in any folders."""

    images: ImageList
    files: dict[str, pathlib.Path]  # by name
    unit: str
    masks: dict[str, pathlib.Path] = field(default_factory=dict)  # of those that have one

    @property
    def photos(self) -> PhotoList:
        """As the stages take them."""
        return PhotoList("reference", "", self.images, MaskOf(self.masks), self.files)

    def but(self, names: Collection[str]) -> "PlacedPhotos":
        """Without some of them."""
        return dataclasses.replace(self, images=ImageList(i for i in self.images if i.name not in names))

    def joined(self, images: ImageList, files: Mapping, masks: Mapping) -> "PlacedPhotos":
        """With others behind them."""
        both = ImageList((*self.images, *images))
        return dataclasses.replace(self, images=both, files={**self.files, **files}, masks={**self.masks, **masks})


@dataclass(frozen=True, eq=False)
class OpenedMap:
    """A saved map's references and the components that make and ask a map; all photos are as they were."""

    folder: pathlib.Path
    use: Components
    references: PlacedPhotos
    digests: dict[str, str]  # of the photos' bytes, by name
    num_points: int
    depth: float  # median distance of the references to the points they see
    notes: tuple[str, ...] = ()


def open_map(
    folder: str | os.PathLike,
    bench: Workbench,
    *,
    without: Collection[str] = (),
    image_root: str | None = None,
    classes: Collection[type] = (),
) -> OpenedMap:
    """The map in a folder, to be made anew with other references. InputError if it is none or its photos are not there.

    without: references to drop; image_root: where photos are looked for that are not where they were.
    """
    folder = pathlib.Path(folder).expanduser().absolute()
    localizer, trusted = Localizer.load(folder, classes=classes), trusted_by(classes)
    sources = localizer.sources
    if sources is None:
        raise InputError(
            f"the map {folder} does not know where its photos lie, as maps of before did not: build it again once"
        )
    if isinstance(without, str):
        raise InputError(f"references to remove are a list: [{without}]")
    unknown = [name for name in without if name not in localizer.references.by_name]
    if unknown:
        raise InputError(f"the map {folder} has no reference {', '.join(unknown)}: nothing was removed")
    made_by, notes = growing(sources.components(trusted))
    components = SavedMap(folder, False, trusted).components()
    files, masks = _files(sources, image_root)
    kept = [i for i, name in enumerate(sources.names) if name not in set(without)]
    _refuse_changed(folder, bench, sources, files, masks, kept)
    images = ImageList(localizer.references.by_name[sources.names[i]] for i in kept)
    return OpenedMap(
        folder,
        Components(**components, **made_by),
        PlacedPhotos(images, {n: files[n] for n in images.names}, sources.unit, masks),
        dict(zip(sources.names, sources.digests, strict=True)),
        len(localizer.rows.points),
        _depth(localizer),
        tuple(notes),
    )


def growing(made_by: dict) -> tuple[dict, list[str]]:
    """The components that make a map of other references than it has, and what had to be another for that."""
    mapping, notes = made_by["mapping"], []
    if isinstance(mapping, MapImport):
        mapping = Triangulation()
        notes = [f"the map was {type(made_by['mapping']).__name__}'s, which knows no new photos: mapping=triangulation"]
    elif mapping.pairs == "covisibility":
        mapping = dataclasses.replace(mapping, pairs="frusta")
        notes = ["the supplied model knows no new photos: mapping.pairs=frusta in place of covisibility"]
    return {**made_by, "mapping": mapping}, notes


def _files(sources: MapSources, image_root: str | None) -> tuple[dict, dict]:
    """Where each photo lies now, and where its mask, by name."""
    files = {}
    for name, at, file in zip(sources.names, sources.folder, sources.files, strict=True):
        path = pathlib.Path(sources.folders[at], file)
        if image_root is not None and not path.exists():
            path = pathlib.Path(image_root).expanduser().absolute() / file
        files[name] = path
    return files, {n: pathlib.Path(m) for n, m in zip(sources.names, sources.masks, strict=True) if m}


def _refuse_changed(folder, bench: Workbench, sources: MapSources, files: dict, masks: dict, kept: list[int]) -> None:
    """InputError with one sentence for all photos and masks that are gone or are others than they were."""
    wanted = {files[sources.names[i]]: sources.digests[i] for i in kept}
    wanted |= {masks[n]: sources.mask_digests[i] for i in kept if (n := sources.names[i]) in masks}
    found = dict(zip(wanted, (digest for digest, _ in bench.map(_digest, list(wanted))), strict=True))
    kinds = {
        "are gone": [path for path, digest in found.items() if digest is None],
        "were changed": [path for path, digest in found.items() if digest not in (None, wanted[path])],
    }
    said = [f"{len(paths)} {what}, such as {paths[0]}" for what, paths in kinds.items() if paths]
    if said:
        raise InputError(
            f"of the photos of the map {folder} and their masks {' and '.join(said)}: put them back, name the folder "
            "that the photos are in now (pipeline.image_root=FOLDER; masks must lie where they lay), or drop these "
            "references"
        )


def _digest(path: pathlib.Path) -> str | None:
    try:
        return photo_digest(path)
    except InputError:
        return None


def _depth(localizer: Localizer) -> float:
    rows, centers = localizer.rows, np.array([image.pose.center for image in localizer.references])
    seeing = np.repeat(np.arange(len(centers)), np.diff(rows.image_indptr))
    return float(np.median(np.linalg.norm(np.asarray(rows.points)[np.asarray(rows.point)] - centers[seeing], axis=1)))


def sources_of(use: Components, mapped: MappedScene, photos: PhotoList, unit: str) -> MapSources:
    """Where the photos of a map lie."""
    references = mapped.references
    names, masks = references.images.names, photos.masks
    paths = [os.path.abspath(references.paths[name]) for name in names]
    files = [
        name if path.endswith("/" + name) else os.path.basename(path) for name, path in zip(names, paths, strict=True)
    ]
    above = [path[: -len(file)].rstrip("/") or "/" for path, file in zip(paths, files, strict=True)]
    folders = {folder: i for i, folder in enumerate(sorted(set(above)))}
    found = [masks and masks.of(name) for name in names]
    digest = {mask: photo_digest(mask) for mask in set(found) - {None}}
    return MapSources(
        names,
        tuple(folders),
        np.array([folders[folder] for folder in above], np.int32),
        tuple(files),
        tuple(references.digests[name] for name in names),
        tuple(os.path.abspath(mask) if mask else "" for mask in found),
        tuple(digest[mask] if mask else "" for mask in found),
        unit,
        components_as_text({role: getattr(use, role) for role in ("pair_matching", "mapping")}),
    )


def map_placed(bench: Workbench, use: Components, placed: PlacedPhotos) -> tuple[MappedScene, BuiltIndex | None]:
    """The map of the references and its index, by the chain's stages."""
    scene = Scene("the map", "", placed.images, unit=placed.unit)
    mapped = map_scene(bench, use, scene, describe=True, photos=placed.photos)
    return mapped, build_index(bench, use.index, mapped.points) if use.search.uses_leaves else None


def save_map(
    bench: Workbench, use: Components, mapped: MappedScene, index: BuiltIndex | None, sources: MapSources, folder
) -> Localizer:
    """Write the map into a folder, whole or not at all, and return it ready for queries."""
    described = mapped.described
    localizer = Localizer(
        use,
        references=mapped.references.images,
        rows=mapped.points.rows,
        index=index,
        ranking=keep_regions(bench, described.ranking, mapped.references),
        learned=described.by.learned,
        vectors=described.vectors,
        sources=sources,
    )
    localizer.save(folder)
    return localizer
