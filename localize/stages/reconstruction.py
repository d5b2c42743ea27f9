"""From photos alone to photos with poses: structure from motion, and the frame it is put into."""

import dataclasses
import logging
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localize.geometry.georeference import (
    extent,
    georeferenced,
    levelled,
    local_metres,
    similarity_between,
    up_direction,
)
from localize.geometry.similarity import Similarity
from localize.io.files import whole_folder
from localize.io.models.colmap_export import write_colmap_model
from localize.keys import describe
from localize.reconstruction.base import Reconstructed
from localize.stages.descriptors import describe_references
from localize.stages.features import extract_features
from localize.stages.mapping import choose_pairs, match_pairs
from localize.stages.photos import PhotoList, Photos, check_enough, masks_of
from localize.stages.shelved import Streamed
from localize.stages.workbench import Workbench
from localize.types import Image, ImageList, InputError, Map, Scene

if TYPE_CHECKING:
    from localize.roles import Components

log = logging.getLogger(__name__)
EXTENT = 100.0  # units, where nothing tells the scale: one is a percent of the extent of the cameras
MOST_SCALE_SD = 0.1  # relative; GPS that leaves the scale more open is not taken
LEAST_GPS = 4  # photos with a position
NAMED = 5  # photos in a sentence


def place_references(
    bench: Workbench, use: "Components", scene: Scene, output: str | None = None, *, score: bool = True
) -> Scene:
    """The scene with poses and cameras of its references by structure from motion; one that has poses stays as it is.

    Photos without a place in the largest model are left out and named. Queries get the camera of the references' same
    device. Where references were held out as queries, their true poses come from a reconstruction of all photos
    together, unless nothing is to be scored. The model is written into `output`/reconstruction as COLMAP has it.
    """
    if scene.unposed is None:
        return scene
    photos, made = reconstruct(bench, use, scene, scene.references)
    frame = frame_of(made.map, scene)
    found = _moved(made.map, frame.similarity)
    notes = [*_told(made, len(scene.references)), *frame.notes]
    for sentence in notes:
        log.info("%s", sentence)
    truth = None
    if scene.unposed.held_out and score:
        truth, said = _held_out_truth(bench, use, scene, found)
        notes.append(said)
        log.info("%s", said)
    if output is not None:
        _write_model(pathlib.Path(output) / "reconstruction", found, photos)
    return dataclasses.replace(
        scene,
        references=found.images,
        queries=ImageList(_with_known_camera(query, scene, found.images) for query in scene.queries),
        ground_truth=truth,
        unit=frame.unit or scene.unit,
        thresholds=scene.unposed.percent if frame.percent else scene.thresholds,
        unposed=None,
        notes=(*scene.notes, *notes),
    )


def reconstruct(
    bench: Workbench, use: "Components", scene: Scene, images: ImageList, kind: str = "reference"
) -> tuple[Photos, Reconstructed]:
    """Features, pairs, matches and the largest model of photos that lie where the references do."""
    photos = extract_features(bench, use.feature, PhotoList(kind, scene.image_root, images, masks_of(scene)))
    check_enough(photos)
    described = describe_references(bench, use, photos) if use.reconstruction.pairs == "retrieval" else None
    if use.reconstruction.pairs == "retrieval" and described.vectors is None:
        raise InputError(
            "without poses the pairs of photos are chosen by global descriptors, which a list of pairs lacks: take "
            "retrieval=fusion, or reconstruction.pairs=exhaustive"
        )
    pairs = choose_pairs(bench, use.reconstruction, photos, described)
    matches = match_pairs(bench, use.pair_matching, pairs, photos, posed=False)
    spec = {
        "reconstruction": describe(use.reconstruction),
        "version": Reconstructed.VERSION,
        "matches": matches.key,
        "pairs": list(matches.item_keys),
        "photos": [[photos.features.item_keys[image.name], *_told_of(image)] for image in photos.images],
    }

    def build() -> Reconstructed:
        keypoints = {name: photos.features[name].keypoints for name in photos.images.names}
        return use.reconstruction.reconstruct(photos.images, keypoints, Streamed(matches))

    return photos, bench.artifact("reconstruction", spec, build)[0]


def _told_of(image: Image) -> list:
    """What of a photo without a pose decides its reconstruction, besides its features."""
    return [image.name, describe(image.camera), describe(image.prior), image.taken and image.taken.device]


@dataclass(frozen=True, eq=False)
class Frame:
    """What makes a model level and, where something tells the scale, metric."""

    similarity: Similarity
    notes: list[str]
    unit: str | None = None  # None: that of the scene
    percent: bool = False  # the unit is a percent of the extent of the cameras


def frame_of(model: Map, scene: Scene) -> Frame:
    """The frame of a model of the references, by GPS, by a distance, or by their extent."""
    first = {image.name: image.taken for image in scene.references if image.taken is not None}
    down = np.array([first[i.name].down if i.name in first else (0, 1) for i in model.images])
    up = up_direction(np.array([image.pose.rotation for image in model.images]), down)
    centers = np.array([image.pose.center for image in model.images])
    level = Similarity(1.0, levelled(up), np.zeros(3))
    level = Similarity(1.0, level.rotation, -level.of_points(centers).mean(0))
    unposed, said = scene.unposed, []
    if unposed.gps:
        found, said = _by_gps(level, model, first)
        if found is not None and unposed.distance is None:
            return Frame(found, said, "m")
        level = Similarity(1.0, found.rotation, found.translation / found.scale) if found is not None else level
        said = said if found is None else [f"by GPS, but for the scale: {said[0]}"]
    if unposed.distance is not None:
        a, b, length = unposed.distance
        missing = [name for name in (a, b) if name not in model.images.by_name]
        if missing:
            raise InputError(
                f"dataset.distance names {missing[0]}, which structure from motion could not place: name two photos of "
                "the model"
            )
        apart = float(np.linalg.norm(np.subtract(*(model.images.by_name[n].pose.center for n in (a, b)))))
        said.append(f"the scale is that of {length:g} between {a} and {b}")
        return Frame(_scaled(level, length / apart), said)
    said.append(
        f"nothing tells the scale, so {EXTENT:g} units are the extent of the references' cameras; "
        "dataset.distance=[FIRST,SECOND,LENGTH] would"
    )
    return Frame(_scaled(level, EXTENT / extent(centers)), said, percent=True)


def _scaled(frame: Similarity, by: float) -> Similarity:
    return Similarity(by * frame.scale, frame.rotation, by * frame.translation)


def _by_gps(level: Similarity, model: Map, taken: dict) -> tuple[Similarity | None, list[str]]:
    """The model in metres east, north, up; None where too few photos have GPS, or it is too coarse for them."""
    rows = [i for i, n in enumerate(model.images.names) if n in taken and taken[n].position is not None]
    if not rows:
        return None, []
    metres = local_metres(np.array([taken[model.images.names[i]].position for i in rows]))
    centers = level.of_points(np.array([model.images.images[i].pose.center for i in rows]))
    found = georeferenced(centers, metres) if len(rows) >= LEAST_GPS else None
    if found is None:
        return None, [
            f"{len(rows)} photos have a GPS position, but at least {LEAST_GPS}, most of them in different places, are "
            "needed for the scale"
        ]
    median = float(np.median(found.residual_m))
    if found.scale_sd > MOST_SCALE_SD:
        return None, [
            f"the GPS positions of {len(rows)} photos are too coarse for the scale: they differ by {median:.1f} m from "
            "the model, whose cameras lie within "
            f"{extent(found.similarity.of_points(centers)):.0f} m"
        ]
    names = [model.images.names[i] for i, good in zip(rows, found.agreeing, strict=True) if not good]
    off = f"; {_some(names)} do not agree and were not used" if names else ""
    return found.similarity.after(level), [
        f"scale, north and up are by the GPS of {found.agreeing.sum()} photos: x is east, y north, z up, in m from "
        f"their median; they differ by {median:.2f} m from the model{' along the ground' * found.level}, and the scale "
        f"is good to {100 * found.scale_sd:.1f} %{off}"
    ]


def _moved(model: Map, frame: Similarity) -> Map:
    images = ImageList(dataclasses.replace(image, pose=frame.of_pose(image.pose)) for image in model.images)
    return dataclasses.replace(model, images=images, points=frame.of_points(model.points))


def _told(made: Reconstructed, photos: int) -> list[str]:
    """What came out, and who was left out why."""
    focals = sorted({round(image.camera.focal_px) for image in made.map.images})
    said = [
        f"structure from motion placed {len(made.map.images)} of {photos} references with {len(made.map.points)} "
        f"points, mean reprojection error {made.reprojection_px:.2f} px, focal length"
        + (f" {focals[0]} px" if len(focals) == 1 else f"s {focals[0]} to {focals[-1]} px")
    ]
    if made.left_out:
        log.warning("%d references are left out of the map", len(made.left_out))
    return said + [f"{name} is left out: {why}" for name, why in made.left_out.items()]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _held_out_truth(bench: Workbench, use: "Components", scene: Scene, references: Map) -> tuple[ImageList, str]:
    """The queries' poses by a reconstruction of all photos together, brought into the references' frame."""
    every = ImageList(sorted([*scene.references, *scene.queries], key=lambda image: image.name))
    _, made = reconstruct(bench, use, scene, every)
    placed, known = made.map.images.by_name, references.images.by_name
    common = [name for name in known if name in placed]
    centers = [np.array([images[n].pose.center for n in common]) for images in (placed, known)]
    if len(common) < 3:
        raise InputError("the photos held out cannot be scored: they and the references share too few placed photos")
    frame = similarity_between(*centers)
    off = np.linalg.norm(frame.of_points(centers[0]) - centers[1], axis=1) / extent(centers[1])
    truth = [
        Image(q.name, placed[q.name].camera, frame.of_pose(placed[q.name].pose), q.tags)
        for q in scene.queries
        if q.name in placed
    ]
    return ImageList(truth), (
        f"the true poses of {len(truth)} of {len(scene.queries)} photos held out come from a reconstruction of all "
        f"photos together; the references' in both differ by {100 * np.median(off):.3f} % of their extent (median)"
    )


def _with_known_camera(query: Image, scene: Scene, placed: ImageList) -> Image:
    """The query with the refined camera of the references' same device; its focal length is known then."""
    if query.prior is None or query.prior.focal == "given" or query.taken is None:
        return dataclasses.replace(query, taken=None)
    device = {image.name: image.taken.device for image in scene.references if image.taken is not None}
    same = [image.camera for image in placed if device.get(image.name) == query.taken.device]
    if not same:
        return dataclasses.replace(query, taken=None)
    focal = np.median([camera.focal_px for camera in same])
    camera = min(same, key=lambda camera: abs(camera.focal_px - focal))
    # without EXIF, a photo of the same size in another folder may be of another camera
    sure = scene.unposed.held_out or query.taken.by_exif
    prior = dataclasses.replace(query.prior, focal="given" if sure else "guessed")
    return dataclasses.replace(query, camera=camera, taken=None, prior=None if prior.parts == frozenset() else prior)


def _write_model(folder: pathlib.Path, model: Map, photos: Photos) -> None:
    """The model for COLMAP, its viewers, and dataset=colmap."""
    keypoints = {name: photos.features[name].keypoints for name in model.images.names}
    with whole_folder(folder) as new:
        write_colmap_model(new, model, keypoints)
