"""From photos alone to photos with poses: structure from motion, and the frame it is put into."""

import dataclasses
import logging
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from localize.geometry.georeference import extent, similarity_between
from localize.geometry.similarity import Similarity
from localize.io.files import whole_folder
from localize.io.models.colmap_export import write_colmap_model
from localize.keys import describe
from localize.reconstruction.base import Reconstructed
from localize.reconstruction.frame import frame_of
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
