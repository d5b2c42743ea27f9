"""The files hloc goes on from: features, global descriptors, retrieved pairs, the map, the queries' intrinsics."""

import os
import pathlib
import shutil
import tempfile

from localize.io.colmap_export import write_colmap_model
from localize.io.hloc import write_global_descriptors, write_local_features
from localize.io.text import write_pairs, write_query_list
from localize.pipelines.steps import Components, MappedScene, Photos, map_scene, read_queries
from localize.stages import Workbench
from localize.store import Store
from localize.types import Scene


def run(scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str, **components) -> str:
    """Map the references, read the queries, write hloc's files into the folder `output`; returns what was written."""
    use = Components(**components)
    bench = Workbench(store, workers, progress)
    town = map_scene(bench, scene, use)
    photos = read_queries(bench, scene, use)
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    aside = pathlib.Path(tempfile.mkdtemp(prefix="export.", suffix=".partial", dir=folder))
    try:
        _write(aside, bench, town, photos, use)
        names = sorted(part.name for part in aside.iterdir())
        for name in names:
            if (folder / name).is_dir():
                os.replace(folder / name, aside / f"{name}.old")
            os.replace(aside / name, folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return f"For hloc, in {folder}: {', '.join(names)}; they are of {_count(town, photos)}."


def _count(town: MappedScene, photos: Photos) -> str:
    points = len(town.map.model.points)
    return f"{len(town.map.references)} references, {len(photos.images)} queries and {points} points"


def _write(folder: pathlib.Path, bench: Workbench, town: MappedScene, photos: Photos, use: Components) -> None:
    vectors, frames = town.query_vectors(bench, photos, use), town.retrieve(bench, photos, use)
    feature, retrieval = (type(component).__module__.rpartition(".")[2] for component in (use.feature, use.retrieval))
    sets = (town.map.references, town.features), (photos.images, photos.features)
    write_local_features(
        folder / f"feats-{feature}.h5", ((image, features[image.name]) for images, features in sets for image in images)
    )
    if vectors is not None:
        described = zip([*town.map.references, *photos.images], [*town.vectors, *vectors], strict=True)
        write_global_descriptors(folder / f"global-feats-{retrieval}.h5", described)
    if frames is not None:
        pairs = [
            (query, frames.reference_names[i])
            for query, row in zip(frames.query_names, frames.index, strict=True)
            for i in row
            if i >= 0
        ]
        write_pairs(folder / f"pairs-query-{retrieval}{use.search.num_frames}.txt", pairs)
    (folder / "sfm").mkdir()
    keypoints = {name: town.features[name].keypoints for name in town.map.references.names}
    write_colmap_model(folder / "sfm", town.map.model, keypoints)
    write_query_list(folder / "queries_with_intrinsics.txt", photos.images)
