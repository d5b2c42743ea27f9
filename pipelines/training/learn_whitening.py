"""Learn a whitening of GeM from pairs of photos that show the same place."""

import dataclasses
import pathlib

import numpy as np

from localize.io.images import read_photo
from localize.pipelines.mapped_scene import map_scene
from localize.retrieval.base import NothingLearned, Whitened
from localize.roles import Components
from localize.stages import Workbench
from localize.store import Store
from localize.train.whitening import covisible_pairs, listed_pairs, whitening_of_pairs
from localize.types import InputError
from localize.weights.whitening import write_whitening


def run(
    dataset,
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    pairs: str | None = None,
    photos: str | None = None,
    min_shared: float = 0.2,
    max_pairs: int = 20_000,
    dimensions: int | None = None,
    shrinkage: float = 0.0,
    seed: int = 0,
    **components,
) -> str:
    """Write `output`/whitening.safetensors for the settings of `retrieval`; says what to type next.

    pairs: a file of lines `first second` with photos below the folder `photos`; without it, the references of the
    scene, mapped first, of which two make a pair if they share at least `min_shared` of the points of the one that has
    fewer. max_pairs: more are thinned at random. dimensions: main components that are kept, None as many as there are
    pairs, or all; shrinkage: see `learned_whitening`. InputError names what is wrong with the pairs.
    """
    retrieval = components["retrieval"]
    if not isinstance(retrieval, Whitened):
        raise InputError(f"{type(retrieval).__name__} has no learned whitening: take retrieval=gem")
    if not 0 <= shrinkage < 1 or not 0 < min_shared <= 1:
        raise InputError(f"pipeline: {shrinkage=} must be from 0 to below 1, {min_shared=} above 0 and at most 1")
    plain = dataclasses.replace(retrieval, whitening=None, dim=None)
    bench = Workbench(store, workers, progress)
    paths, rows = _listed(pairs, photos) if pairs else _of_scene(bench, dataset, Components(**components), min_shared)
    if len(rows) > max_pairs:
        rows = rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:max_pairs])]
    used, rows = np.unique(rows, return_inverse=True)
    with bench.stage("global_descriptors"):
        found = bench.map(lambda i: plain.describe(read_photo(paths[i]), NothingLearned()), used.tolist())
        vectors = np.array([vector for vector, _ in found])
    mean, projection = whitening_of_pairs(vectors, rows.reshape(-1, 2), dimensions, shrinkage)
    path = pathlib.Path(output) / "whitening.safetensors"
    write_whitening(path, mean, projection, plain.made_with())
    return (
        f"A whitening to {len(projection)} dimensions, learned from {len(rows.reshape(-1, 2))} pairs of {len(used)} "
        f"photos, is in {path}; use it with retrieval.whitening={path}"
    )


def _listed(pairs: str, photos: str | None) -> tuple[list[pathlib.Path], np.ndarray]:
    if photos is None:
        raise InputError("pipeline.pairs names photos: give the folder that they are in as pipeline.photos")
    names, rows = listed_pairs(pairs, pathlib.Path(photos))
    return [pathlib.Path(photos) / name for name in names], rows


def _of_scene(bench: Workbench, dataset, use: Components, min_shared: float) -> tuple[list[pathlib.Path], np.ndarray]:
    scene = dataset.load()
    mapped = map_scene(bench, use, scene)
    paths = [mapped.references.paths[name] for name in mapped.references.images.names]
    return paths, covisible_pairs(mapped.points.model, min_shared)
