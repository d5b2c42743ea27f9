"""Training patches of a place: map its references, find each point in all posed photos, cut the patches."""

import pathlib

import numpy as np

from localize.io.images import read_photo
from localize.pipelines.mapped_scene import map_scene
from localize.progress import counted
from localize.roles import Components
from localize.stages import Photos, Workbench, extract_features, query_photos
from localize.store import Store
from localize.train.patches.folder import write_patches
from localize.train.patches.from_map import Tracks
from localize.train.patches.sets import PatchSet, cut, stretched
from localize.train.photos.homographies import Keypoints
from localize.types import ImageList, InputError, Scene


def run(
    reference_scene: Scene,
    store: Store,
    *,
    workers: int = 1,
    progress: bool = False,
    output: str,
    queries: bool = False,
    coefficient: float = 13.0,
    max_error_px: float = 1.5,
    max_per_point: int = 24,
    seed: int = 0,
    **components,
) -> str:
    """Write `output`/patches in the format of UBC PhotoTour; says how many there are and what to type next.

    coefficient: side of a patch in units of the keypoint's scale; max_error_px and max_per_point as in Tracks.
    queries: also cut patches of the queries whose poses are known; they are then no test photos any more. InputError,
    before the work, for queries without poses and settings that cannot be.
    """
    scene = reference_scene
    _check(scene, queries, coefficient)
    tracks = Tracks(max_error_px=max_error_px, max_per_point=max_per_point, seed=seed)
    use, bench = Components(**components), Workbench(store, workers, progress)
    mapped = map_scene(bench, use, scene)
    sets = [mapped.references]
    if queries:
        sets.append(extract_features(bench, use.feature, query_photos(scene, scene.ground_truth)))
    of = {image.name: photos for photos in sets for image in photos.images}
    posed, features = ImageList(image for photos in sets for image in photos.images), _Features(of)
    photo, row, point = tracks.find(mapped.points.model, posed, features, progress)
    found = [
        _cut(of[name].paths[name], features[name], row[photo == i], coefficient)
        for i, name in enumerate(counted(posed.names, "patches", shown=progress))
    ]
    points = np.concatenate([point[photo == i][kept] for i, (_, kept) in enumerate(found)])
    images = np.repeat(np.arange(len(found)), [len(kept) for _, kept in found])
    every = PatchSet(np.concatenate([patches for patches, _ in found]), points)
    return write_patches(pathlib.Path(output) / "patches", every, images, f"{len(posed)} photos of {scene.name}", seed)


def _check(scene: Scene, queries: bool, coefficient: float) -> None:
    if type(coefficient) not in (int, float) or not coefficient > 0:
        raise InputError(f"pipeline.coefficient is {coefficient!r}, but must be a number greater than 0")
    if queries and scene.ground_truth is None:
        raise InputError(f"{scene.name} has no poses of its queries: leave out pipeline.queries=true")
    again = set(scene.references.names) & set(scene.ground_truth.names) if queries else ()
    if again:
        raise InputError(
            f"{len(again)} queries are called as references are, such as {min(again)}: leave out pipeline.queries=true"
        )


class _Features:
    """Features by photo name, where photos lie in several sets."""

    def __init__(self, photos: dict[str, Photos]):
        self.photos = photos

    def __getitem__(self, name: str):
        return self.photos[name].features[name]


def _cut(path: pathlib.Path, features, rows: np.ndarray, coefficient: float) -> tuple[np.ndarray, np.ndarray]:
    """(patches (M, 64, 64) uint8, which of the rows they are of) of one photo."""
    places = Keypoints(features.keypoints, features.scales, features.orientations)[rows]
    patches, kept = cut(read_photo(path, grey=True), places, coefficient)
    return stretched(patches), kept
