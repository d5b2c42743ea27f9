"""The files hloc goes on from: features, global descriptors, retrieved pairs, the map, the queries' intrinsics."""

import os
import pathlib
import shutil
import tempfile

from localize.io.given.hloc import write_global_descriptors, write_local_features
from localize.io.models.colmap_export import write_colmap_model
from localize.io.text import write_pairs, write_query_list
from localize.pipelines.mapped_scene import MappedScene, map_scene
from localize.roles import Components
from localize.stages import Photos, Workbench, extract_features, query_photos, retrieve
from localize.store import Store
from localize.types import Image, InputError, Scene


def run(scene: Scene, store: Store, *, workers: int = 1, progress: bool = False, output: str, **components) -> str:
    """Map the references, read the queries, write hloc's files into the folder `output`; returns what was written."""
    problems = scene.mixed_up_by("one folder")
    if problems:
        raise InputError(*problems)
    use = Components(**components)
    bench = Workbench(store, workers, progress)
    mapped = map_scene(bench, use, scene)
    queries = extract_features(bench, use.feature, query_photos(scene))
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    aside = pathlib.Path(tempfile.mkdtemp(prefix="export.", suffix=".partial", dir=folder))
    try:
        _write(aside, bench, mapped, queries, use)
        names = sorted(part.name for part in aside.iterdir())
        for name in names:
            if (folder / name).is_dir():
                os.replace(folder / name, aside / f"{name}.old")
            os.replace(aside / name, folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return f"For hloc, in {folder}: {', '.join(names)}; they are of {_count(mapped, queries)}."


def _count(mapped: MappedScene, queries: Photos) -> str:
    points = len(mapped.points.model.points)
    return f"{len(mapped.references.images)} references, {len(queries.images)} queries and {points} points"


def _write(folder: pathlib.Path, bench: Workbench, mapped: MappedScene, queries: Photos, use: Components) -> None:
    feature, retrieval = (type(component).__module__.rpartition(".")[2] for component in (use.feature, use.retrieval))
    sets, described = (mapped.references, queries), mapped.described
    found = ((image, photos.features[image.name]) for photos in sets for image in photos.images)
    write_local_features(folder / f"feats-{feature}.h5", found)
    if described is not None and described.vectors is not None:
        vectors = [*described.vectors, *described.by.describe(bench, queries).vectors]
        images = [image for photos in sets for image in photos.images]
        write_global_descriptors(folder / f"global-feats-{retrieval}.h5", zip(images, vectors, strict=True))
    if use.search.uses_frames:
        frames = retrieve(bench, use, queries, described).retrieved
        pairs = [
            (query, frames.reference_names[i])
            for query, row in zip(frames.query_names, frames.ranked, strict=True)
            for i in row
            if i >= 0
        ]
        write_pairs(folder / f"pairs-query-{retrieval}{use.search.num_frames}.txt", pairs)
    (folder / "sfm").mkdir()
    features = mapped.references.features
    keypoints = {name: features[name].keypoints for name in mapped.references.images.names}
    write_colmap_model(folder / "sfm", mapped.points.model, keypoints)
    plain = (Image(query.name, query.camera) for query in queries.images)  # hloc reads numbers only
    write_query_list(folder / "queries_with_intrinsics.txt", plain)
