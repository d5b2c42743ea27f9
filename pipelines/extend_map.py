"""A saved map and more photos of its place: these are localized in it, and become references too."""

import dataclasses
import logging
import os
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from localize.components import check_value
from localize.localizer import Localizer
from localize.pipelines.growth import Growth, grown
from localize.pipelines.kept_map import OpenedMap, PlacedPhotos, map_placed, open_map, save_map, sources_of
from localize.pipelines.located import located
from localize.pipelines.mapped_scene import MappedScene
from localize.pipelines.new_photos import NewPhotos, find_new_photos
from localize.roles import Components
from localize.stages import BuiltIndex, Workbench, describe_references, extract_features
from localize.stages.adjustment import adjust_poses
from localize.stages.map_checks import told
from localize.store import Store
from localize.types import InputError, PoseEstimate

log = logging.getLogger(__name__)

MIN_CONFIDENCE = 0.9  # that a photo's pose is right, for it to become a reference
LEAST_SEEN = 20  # points that a new reference must see after the adjustment
MOST_ERROR_PX = 2.0  # and the most that half of these may be off, of a photo of 1600 px


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    map: str,
    photos: str | None = None,
    into: str | None = None,
    remove: tuple = (),
    cameras: str | None = None,
    masks: str | None = None,
    image_root: str | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    **components,
) -> str:
    """Extend the map in the folder `map` by the photos in the folder `photos`; says what happened.

    into: the folder of the new map, None: `output`/map; that of the old one: in its place. Others as in `extend_map`.
    The components are the map's own; those given here only lend their classes, where these are not the package's.
    """
    given = {"remove": remove, "cameras": cameras, "masks": masks, "image_root": image_root}
    made = extend_map(
        *(map, photos, into or os.path.join(output, "map")),
        **given,
        min_confidence=min_confidence,
        store=store,
        workers=workers,
        progress=progress,
        classes=[type(component) for component in components.values()],
    )
    return made.write(output)


def extend_map(
    map: str | os.PathLike,
    photos: str | os.PathLike | None,
    folder: str | os.PathLike,
    *,
    remove: Sequence[str] = (),
    cameras: str | None = None,
    masks: str | None = None,
    image_root: str | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    store: Store | None = None,
    workers: int = 1,
    progress: bool = False,
    classes: Collection[type] = (),
) -> Growth:
    """Make a map of an older one's references and of the photos in a folder, whose poses are not known.

    map: folder of the old one; folder: where the new one is written, whole or not at all; both may be the same. The
    poses of the old references stay as they are. remove: references to drop; cameras: list of the photos' intrinsics,
    see `find_new_photos`; masks: of the photos; image_root: where the old photos are now, if they were moved. A photo
    becomes a reference if its pose has min_confidence. With the store that made the old map, nothing of it is computed
    twice. InputError if the old map does not know its photos, or these are gone or changed.
    """
    given = {"remove": remove, "cameras": cameras, "masks": masks, "image_root": image_root}
    given |= {"min_confidence": min_confidence, "workers": workers, "progress": progress, "classes": classes}
    if store is None:
        with tempfile.TemporaryDirectory(prefix="localize-store-") as temporary:
            made = extend_map(map, photos, folder, store=Store(temporary), **given)
        return dataclasses.replace(made, localizer=Localizer.load(folder, classes=classes))
    check_value("min_confidence", min_confidence, float, most=1)
    if photos is None and not remove:
        raise InputError("nothing is to be done: name a folder of new photos with pipeline.photos, or pipeline.remove")
    start, bench = time.perf_counter(), Workbench(store, workers, progress)
    opened = open_map(map, bench, without=remove, image_root=image_root, classes=classes)
    new = find_new_photos(bench, opened, photos, cameras, masks)
    result = _grow(bench, opened, new, min_confidence)
    placed, mapped = result.placed, result.mapped
    sources = sources_of(opened.use, mapped, placed.photos, placed.unit)
    localizer = save_map(bench, opened.use, mapped, result.index, sources, folder)
    return grown(
        *(bench, opened, localizer, folder, start, remove),
        added={image.name: image.pose for image in placed.images if image.name in result.added},
        confidence={name: estimate.confidence for name, estimate in result.added.items()},
        left_out={**new.left_out, **result.left_out},
        figures={
            "added_in_rounds": result.rounds,
            "cameras_from": new.cameras,
            "same_photos": new.same,
            "min_confidence": min_confidence,
        },
        told=_told(result, new),
        notes=(*opened.notes, *mapped.points.notes),
    )


@dataclass(frozen=True, eq=False)
class _Grown:
    """All references, their map, and what became of the new photos."""

    placed: PlacedPhotos
    mapped: MappedScene
    index: BuiltIndex | None
    added: dict[str, PoseEstimate]
    left_out: dict[str, str]
    rounds: list[int]  # how many were added in each


def _grow(bench: Workbench, opened: OpenedMap, new: NewPhotos, min_confidence: float) -> _Grown:
    """Localize the new photos in the map, make a map with those that are sure, and so on until none is added."""
    use, placed = opened.use, opened.references
    added, left_out, rounds = {}, {}, []
    mapped, index = map_placed(bench, use, placed)
    while len(new.images):
        sure, unsure = _judged(new, located(bench, use, mapped, index, new.photos), bench, min_confidence)
        if not sure:
            left_out |= unsure
            break
        joined = placed.joined(new.placed(sure), *({n: d[n] for n in sure if n in d} for d in (new.files, new.masks)))
        placed, dropped = _adjusted(bench, use, joined, (*added, *sure), new.lenses)
        left_out |= dropped
        added = {name: estimate for name, estimate in {**added, **sure}.items() if name not in dropped}
        rounds.append(len(sure.keys() - dropped.keys()))
        new = new.but(sure.keys())
        mapped, index = map_placed(bench, use, placed)
        log.info("%d photos were added, %d are left", rounds[-1], len(new.images))
    return _Grown(placed, mapped, index, added, left_out, rounds)


def _told(result: _Grown, new: NewPhotos) -> tuple[str, ...]:
    """What was there already, where the cameras came from, when photos were added, and how well all poses fit."""
    cameras, rounds = (f"{n} from {where}" for where, n in new.cameras.items()), [str(n) for n in result.rounds]
    said = (
        f"{len(new.same)} photos of the folder were references already" if new.same else "",
        f"cameras of the new photos: {', '.join(cameras)}" if new.cameras else "",
        f"photos were added in {len(rounds)} rounds: {', '.join(rounds)}" if len(rounds) > 1 else "",
        told(result.mapped.points.figures),
    )
    return tuple(filter(None, said))


def _judged(
    new: NewPhotos, estimates: dict[str, PoseEstimate], bench: Workbench, min_confidence: float
) -> tuple[dict[str, PoseEstimate], dict[str, str]]:
    """The estimates that are sure enough, and why the other photos' are not. Where nothing judges, all poses count."""
    sure, unsure = {}, {}
    for name in new.images.names:
        estimate = estimates.get(name)
        if estimate is None:
            unsure[name] = bench.unreadable.get(str(new.files[name]), "the photo cannot be read")
        elif estimate.pose is None:
            unsure[name] = estimate.reason
        elif estimate.confidence is not None and estimate.confidence < min_confidence:
            unsure[name] = f"its pose has a confidence of {estimate.confidence:.2f}, less than {min_confidence:g}"
        else:
            sure[name] = estimate
    return sure, unsure


def _adjusted(
    bench: Workbench, use: Components, joined: PlacedPhotos, free: tuple[str, ...], lenses: dict[str, str]
) -> tuple[PlacedPhotos, dict[str, str]]:
    """The references with adjusted poses of the free ones, without those of which hardly a point fits, and why."""
    references = extract_features(bench, use.feature, joined.photos)
    described = describe_references(bench, use, references) if use.compares_photos else None
    own = {name: lens for name, lens in lenses.items() if name in free}
    images, found = adjust_poses(bench, use, references, described, free, own)
    dropped = {}
    for name, seen, error_px in zip(found.names, found.seen, found.error_px, strict=True):
        most = MOST_ERROR_PX * images.by_name[name].camera.px_of_1600
        if seen < LEAST_SEEN:
            dropped[name] = f"it sees only {seen} points of the map that has grown, less than {LEAST_SEEN}"
        elif not error_px <= most:
            dropped[name] = (
                f"half of its points are off by {error_px:.1f} px and more, at most {most:.1f} px are allowed"
            )
    return dataclasses.replace(joined, images=images).but(dropped), dropped
