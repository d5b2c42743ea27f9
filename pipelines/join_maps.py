"""Two saved maps of one place: the second is moved into the frame of the first, and one map is made of both."""

import dataclasses
import logging
import os
import tempfile
import time
from collections.abc import Collection, Sequence

import numpy as np

from localize.components import check_value
from localize.geometry.similarity import FittedSimilarity, fit_similarity
from localize.localizer import Localizer
from localize.pipelines.extend_map import MIN_CONFIDENCE
from localize.pipelines.growth import Growth, grown
from localize.pipelines.kept_map import OpenedMap, PlacedPhotos, map_placed, open_map, save_map, sources_of
from localize.pipelines.located import located
from localize.pipelines.new_photos import unused
from localize.stages import PhotoList, Workbench
from localize.store import Store
from localize.types import Image, ImageList, InputError, Pose
from localize.types.scenes import NO_UNIT

log = logging.getLogger(__name__)

LEAST = 3  # photos that both maps know
MOST_OFF = 0.02  # of the distance to what a photo sees; one that is off by more does not agree
MOST_OFF_DEG = 2.0
AGREEING = 0.5  # of the photos that both know
MOST_SCALE_SD = 0.02


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    maps: tuple,
    into: str | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    **components,
) -> str:
    """Join the two maps, in the frame of the first; says what happened.

    into: the folder of the new map, None: `output`/map; that of one of both: in its place. The components are those of
    the first map; those given here only lend their classes, where these are not the package's.
    """
    made = join_maps(
        *(maps, into or os.path.join(output, "map")),
        min_confidence=min_confidence,
        store=store,
        workers=workers,
        progress=progress,
        classes=[type(component) for component in components.values()],
    )
    return made.write(output)


def join_maps(
    maps: Sequence[str | os.PathLike],
    folder: str | os.PathLike,
    *,
    min_confidence: float = MIN_CONFIDENCE,
    store: Store | None = None,
    workers: int = 1,
    progress: bool = False,
    classes: Collection[type] = (),
) -> Growth:
    """Make one map of the references of two, in the frame and with the components of the first.

    Photos that both have, byte by byte, tell where the second lies in the first; where they are fewer than three, its
    photos are localized there, and poses of min_confidence count. InputError where that does not determine it.
    """
    if store is None:
        with tempfile.TemporaryDirectory(prefix="localize-store-") as temporary:
            given = {"min_confidence": min_confidence, "workers": workers, "progress": progress, "classes": classes}
            made = join_maps(maps, folder, store=Store(temporary), **given)
        return dataclasses.replace(made, localizer=Localizer.load(folder, classes=classes))
    if isinstance(maps, str | os.PathLike) or len(maps) != 2:
        raise InputError("two maps are joined at a time: pipeline.maps=[FIRST,SECOND]")
    check_value("min_confidence", min_confidence, float, most=1)
    start, bench = time.perf_counter(), Workbench(store, workers, progress)
    first, second = (open_map(map, bench, classes=classes) for map in maps)
    names = _same_photos(first, second)
    to = {name: first.references.images.by_name[other].pose for name, other in names.items()}
    how = "that both maps have"
    if len(to) < LEAST:
        to, how = _localized(bench, first, second, min_confidence), "of the second map that were localized in the first"
    fitted = similarity_of(first, second, to, how)
    joined, added = _joined(first, second, fitted, names)
    mapped, index = map_placed(bench, first.use, joined)
    sources = sources_of(first.use, mapped, joined.photos, joined.unit)
    localizer = save_map(bench, first.use, mapped, index, sources, folder)
    figures, sentence = _figures(fitted, how, first, second)
    log.info("%s", sentence)
    return grown(
        *(bench, first, localizer, folder, start),
        added={image.name: image.pose for image in joined.images if image.name in added},
        confidence=dict.fromkeys(added),
        left_out={},
        figures=figures | {"same_photos": names},
        told=(sentence, f"{len(names)} photos of the second map are in the first too, and keep their poses there"),
        notes=(*first.notes, *second.notes, *mapped.points.notes),
    )


def _same_photos(first: OpenedMap, second: OpenedMap) -> dict[str, str]:
    """Names in the first map of photos of the second."""
    of_first = {first.digests[name]: name for name in first.references.images.names}
    return {n: of_first[d] for n in second.references.images.names if (d := second.digests[n]) in of_first}


def _localized(bench: Workbench, first: OpenedMap, second: OpenedMap, min_confidence: float) -> dict[str, Pose]:
    """Poses in the first map of photos of the second."""
    mapped, index = map_placed(bench, first.use, first.references)
    asked = second.references.photos
    queries = ImageList(Image(image.name, image.camera) for image in asked.images)
    estimates = located(bench, first.use, mapped, index, PhotoList("query", "", queries, asked.masks, asked.files))
    found = {name: e for name, e in estimates.items() if e.pose is not None}
    return {name: e.pose for name, e in found.items() if e.confidence is None or e.confidence >= min_confidence}


def similarity_of(first: OpenedMap, second: OpenedMap, to: dict[str, Pose], how: str) -> FittedSimilarity:
    """Where the second map lies in the first; InputError where these poses of its photos do not say so."""
    what = f"where {second.folder} lies in {first.folder} is not determined"
    if len(to) < LEAST:
        raise InputError(f"{what}: there are only {len(to)} photos {how}, and {LEAST} are needed: add some to both")
    own = list(to.values()), [second.references.images.by_name[name].pose for name in to]
    limits, metric = (MOST_OFF * first.depth, MOST_OFF_DEG), both_metric(first, second)
    fitted = fit_similarity(*own, *limits, scale=1.0 if metric else None)
    if not _enough(fitted, to):
        number = 0 if fitted is None else fitted.inliers.sum()
        free = fit_similarity(*own, *limits) if metric else None
        unit = f", where both are in {first.references.unit}" * metric
        if _enough(free, to):
            unit += f"; they agree if the second map is {free.similarity.scale:.4g} times as large: check the units"
        raise InputError(
            f"{what}: of {len(to)} photos {how} only {number} agree to {_length(limits[0], first)} and "
            f"{MOST_OFF_DEG:g} degrees{unit}"
        )
    if not metric and fitted.scale_sd > MOST_SCALE_SD:
        raise InputError(
            f"{what}: the {fitted.inliers.sum()} photos {how} lie too near to each other to say how large it is (to "
            f"{100 * fitted.scale_sd:.1f} %): add photos to both that lie farther apart"
        )
    return fitted


def _enough(fitted: FittedSimilarity | None, to: dict) -> bool:
    return fitted is not None and fitted.inliers.sum() >= max(LEAST, AGREEING * len(to))


def both_metric(first: OpenedMap, second: OpenedMap) -> bool:
    """Whether both have the same known unit, so that one is as large as the other."""
    return first.references.unit == second.references.unit != NO_UNIT


def _joined(
    first: OpenedMap, second: OpenedMap, fitted: FittedSimilarity, names: dict[str, str]
) -> tuple[PlacedPhotos, set[str]]:
    """The references of both, and the names of those that came from the second."""
    there, own = first.references, second.references
    images, files, masks = [], {}, {}
    for image in own.but(names).images:
        name = unused(image.name, second.folder.name, {*there.images.names, *files})
        images.append(Image(name, image.camera, fitted.similarity.of_pose(image.pose), image.tags, image.groups))
        files[name] = own.files[image.name]
        if image.name in own.masks:
            masks[name] = own.masks[image.name]
    return there.joined(ImageList(images), files, masks), set(files)


def _figures(fitted: FittedSimilarity, how: str, first: OpenedMap, second: OpenedMap) -> tuple[dict, str]:
    """For results.json, and a sentence."""
    off, off_deg = (float(np.median(values[fitted.inliers])) for values in (fitted.off, fitted.off_deg))
    number, of, scale = int(fitted.inliers.sum()), len(fitted.inliers), fitted.similarity.scale
    known = f", as both are in {first.references.unit}" if both_metric(first, second) else ""
    sentence = (
        f"{number} of {of} photos {how} agree: {second.folder.name} was scaled by {scale:.5g}{known}, and the median "
        f"residual is {_length(off, first)} and {off_deg:.3f} degrees"
    )
    figures = {
        "scale": scale,
        "rotation": fitted.similarity.rotation.tolist(),
        "translation": fitted.similarity.translation.tolist(),
        "agreeing": [number, of],
        "median_residual": off,
        "median_residual_deg": off_deg,
    }
    return {"similarity": figures}, sentence


def _length(value: float, first: OpenedMap) -> str:
    return f"{value:.3g} {first.references.unit}"
