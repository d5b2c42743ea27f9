"""Write a scene with its map in the layout of Aachen Day-Night or RobotCar Seasons: photos, model, database, lists."""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from localize.io.benchmarks import layouts
from localize.io.files import whole_folder
from localize.io.models.colmap_database import write_colmap_database
from localize.io.models.nvm import write_nvm
from localize.pipelines.mapped_scene import map_scene
from localize.roles import Components
from localize.stages import Workbench, extract_features, query_photos
from localize.stages.shelved import Shelved
from localize.store import Store
from localize.types import Features, Image, ImageList, InputError, Map, Scene, SourceModel


def run(
    scene: Scene,
    store: Store,
    *,
    workers: int = 1,
    progress: bool = False,
    output: str,
    layout: str,
    **components,
) -> str:
    """Map the references, and write everything into `output`/<layout>; says what to type next."""
    if layout not in ("aachen", "robotcar"):
        raise InputError(f"pipeline.layout is {layout}, but must be aachen or robotcar")
    layouts.check_cameras([*scene.references, *scene.queries])
    problems = scene.mixed_up_by("one folder")
    if problems:
        raise InputError(*problems)
    use = Components(**components)
    bench = Workbench(store, workers, progress)
    mapped = map_scene(bench, use, scene)
    queries = extract_features(bench, use.feature, query_photos(scene))
    folder = pathlib.Path(output) / layout
    scene = _readable(scene, mapped.references.images, queries.images)
    write = _write_aachen if layout == "aachen" else _write_robotcar
    with whole_folder(folder) as new:
        write(new, scene, mapped.points.model, mapped.references.features, queries.features)
    return (
        f"{scene.name} is in {folder} in the layout of {layout}. Localize it there with\n"
        f"python -m localize +pipeline=parallel_search dataset={layout} dataset.root={folder}"
        + (f" dataset.ground_truth={folder}/ground_truth.txt" if scene.ground_truth is not None else "")
    )


def _readable(scene: Scene, references: ImageList, queries: ImageList) -> Scene:
    """The scene without the photos that could not be read."""
    truth = scene.ground_truth
    if truth is not None:
        truth = ImageList(image for image in truth if image.name in queries.by_name)
    return dataclasses.replace(scene, references=references, queries=queries, ground_truth=truth)


def _write_aachen(folder: pathlib.Path, scene: Scene, points: Map, references: Shelved, queries: Shelved) -> None:
    names = layouts.aachen_names(scene)
    layouts.copy_photos(scene, names, folder / "images_upright")
    layouts.write_aachen_texts(folder, scene, names)
    write_nvm(folder / "3D-models/aachen_cvpr2018_db.nvm", _source_model(points, references, names))
    photos = [(name, references) for name in scene.references.names] + [(name, queries) for name in scene.queries.names]
    _write_database(folder / "aachen.db", scene, names, photos)


def _write_robotcar(folder: pathlib.Path, scene: Scene, points: Map, references: Shelved, queries: Shelved) -> None:
    names = layouts.robotcar_names(scene)
    layouts.copy_photos(scene, names, folder / "images")
    layouts.write_robotcar_texts(folder, scene, names)
    layouts.write_locations(folder, scene, names)
    in_models = {name: there.removesuffix(".jpg") + ".png" for name, there in names.items()}
    (folder / "3D-models/all-merged").mkdir(parents=True, exist_ok=True)
    prefixed = {name: "./" + there for name, there in in_models.items()}
    write_nvm(folder / "3D-models/all-merged/all.nvm", _source_model(points, references, prefixed))
    for file, features, images in (
        ("overcast-reference.db", references, scene.references),
        ("query.db", queries, scene.queries),
    ):
        _write_database(folder / "3D-models" / file, scene, in_models, [(name, features) for name in images.names])


def _source_model(points: Map, features: Shelved, names: dict[str, str]) -> SourceModel:
    """The map as a supplied model."""
    xy = np.empty((len(points.image), 2), np.float32)
    order = np.argsort(points.image, kind="stable")
    bounds = np.searchsorted(points.image[order], np.arange(len(points.images) + 1))
    for i, name in enumerate(points.images.names):
        rows = order[bounds[i] : bounds[i + 1]]
        xy[rows] = features[name].keypoints[points.keypoint[rows]]
    return SourceModel(
        names=tuple(names[name] for name in points.images.names),
        focal_px=[image.camera.params[0] for image in points.images],
        radial=[image.camera.params[3] for image in points.images],
        rotations=np.array([image.pose.rotation for image in points.images]),
        translations=np.array([image.pose.translation for image in points.images]),
        points=points.points,
        indptr=points.indptr,
        image=points.image,
        keypoint=points.keypoint,
        xy=xy,
    )


def _write_database(path: pathlib.Path, scene: Scene, names: dict[str, str], photos: list[tuple[str, Shelved]]) -> None:
    """A COLMAP database of photos under their names there: keypoints with scale and orientation, descriptors."""
    here = {names[name]: (name, features) for name, features in photos}

    def features_of(there: str) -> Features:
        name, features = here[there]
        found = features[name]
        like_sift = found.descriptors.shape[1] == 128 and not (found.descriptors < 0).any()
        if found.scales is None or found.orientations is None or not like_sift:
            raise InputError("the layouts hold SIFT keypoints with scale and orientation: take feature=sift")
        return found

    def keypoints(there: str) -> np.ndarray:
        found = features_of(there)
        return np.column_stack([found.keypoints, found.scales, found.orientations])

    def descriptors(there: str) -> np.ndarray:
        return np.clip(np.round(512 * features_of(there).descriptors.astype(np.float32)), 0, 255).astype(np.uint8)

    images = []
    for name, _ in photos:
        image = scene.references.by_name.get(name) or scene.queries.by_name[name]
        images.append(Image(names[name], image.camera))
    write_colmap_database(path, images, _Lazy(keypoints), _Lazy(descriptors))


class _Lazy:
    """A mapping that makes its values one at a time: those of a whole city would not fit into memory."""

    def __init__(self, make: Callable[[str], np.ndarray]):
        self.make = make

    def __getitem__(self, name: str) -> np.ndarray:
        return self.make(name)
