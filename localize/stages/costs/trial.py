"""Rates of this machine: from what the store holds of these photos, or from a trial on a few, which the store keeps."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localize.features.base import StoredFeature
from localize.retrieval.base import GlobalDescriptor
from localize.stages import memory
from localize.stages.costs import constants as c
from localize.stages.costs.foreseen import Foreseen
from localize.stages.costs.machine import MB, resident_memory_mb
from localize.stages.descriptors import source_of
from localize.stages.features import extract_features
from localize.stages.keypoints import given_keypoints
from localize.stages.mapping import match_pairs
from localize.stages.photos import Lazy, Photos, reference_photos
from localize.stages.workbench import Workbench
from localize.types import ImageList, InputError, Scene

if TYPE_CHECKING:
    from localize.roles import Components

LEAST_TODO = 24  # photos; with fewer, a trial is not worth its time
SHARE = 6  # of the photos to do, every so many is tried at most
MOST, LEAST, PER_WORKER = 24, 8, 3  # photos that are tried
SAMPLE = 16  # stored results that are looked at
SAME_VIEW_DEG = 45.0
FAR = 1e9


@dataclass(frozen=True)
class Rates:
    """Of one item on this machine, while all workers are at work."""

    photo_s: float  # features of a photo, one worker
    photo_mb: float  # of disk
    keypoints: float
    descriptor_bytes: int
    base_mb: float  # memory of this process before the work
    worker_mb: float  # of a worker process
    global_s: float = 0.0  # a global descriptor
    global_bytes: int = 0
    pair_s: float = 0.0  # a pair of photos, one worker
    pair_matches: float = 0.0


def measure(bench: Workbench, use: "Components", scene: Scene, foreseen: Foreseen) -> Rates | None:
    """The rates of this run; None where nothing of it is in the store, and it is too small for a trial."""
    seen, worker_mb = _known(foreseen.references), c.WORKER_MB
    if seen is None:
        number = min(MOST, max(LEAST, PER_WORKER * bench.workers), foreseen.photos_todo // SHARE)
        if foreseen.photos_todo < LEAST_TODO or number < 2:
            return None
        photos = reference_photos(scene)
        near = getattr(use.mapping, "num_neighbours", 1)
        tried = dataclasses.replace(photos, images=spread_in_pairs(photos.images, number, near))
        seen = extract_features(bench, use.feature, tried, given_keypoints(bench, use, scene))
        if len(seen.images) < 2:
            return None
        if min(bench.workers, len(tried.images)) > 1 and not isinstance(use.feature, StoredFeature):
            worker_mb = memory.peak_memory_of_children_mb()
    return _rates(bench, use, foreseen, seen, worker_mb)


def _known(photos: Photos) -> Photos | None:
    """Some of the photos whose features are in the store, spread over all; None with fewer than two."""
    stored = [image for image in photos.images if image.name in photos.features]
    if len(stored) < 2:
        return None
    chosen = spread_in_pairs(ImageList(stored), min(SAMPLE, len(stored)))
    return dataclasses.replace(photos, images=chosen)


def spread_in_pairs(images: ImageList, number: int, num_neighbours: int = 20) -> ImageList:
    """About `number` of the images: some spread over the list, and after each one that looks the same way.

    That is one of the `num_neighbours` nearest, of the first spot the nearest, of the last the farthest, so that the
    pairs are like those of a map, most of which see less of each other than the nearest views.
    """
    if any(image.pose is None for image in images):  # in the order of a walk, as most folders are
        return ImageList(images.images[i] for i in _neighbours(len(images), number))
    centers = np.array([image.pose.center for image in images])
    axes = np.array([image.pose.rotation[2] for image in images])
    spots = np.linspace(0, len(images) - 1, max(1, number // 2)).round().astype(int).tolist()
    chosen: list[int] = []
    for i, share in zip(spots, np.linspace(0, 1, len(spots)), strict=True):
        apart = np.linalg.norm(centers - centers[i], axis=1)
        apart[axes @ axes[i] < np.cos(np.radians(SAME_VIEW_DEG))] += FAR
        others = [j for j in np.argsort(apart, kind="stable").tolist() if j != i][:num_neighbours]
        same = [j for j in others if apart[j] < FAR] or others
        free = [j for j in same if j not in (*chosen, *spots)]
        if i not in chosen and free:
            chosen += [i, free[round(share * (len(free) - 1))]]
    return ImageList(images.images[i] for i in chosen)


def _neighbours(count: int, number: int) -> list[int]:
    """About `number` of so many photos, some spread over them and the next one of each."""
    spots = np.linspace(0, count - 2, max(1, number // 2)).round().astype(int).tolist()
    return sorted({i + k for i in spots for k in (0, 1)})


def _rates(bench: Workbench, use, foreseen: Foreseen, photos: Photos, worker_mb: float) -> Rates:
    names = photos.images.names
    features = [photos.features[name] for name in names]
    sizes = [sum(a.nbytes for a in vars(f).values() if isinstance(a, np.ndarray)) for f in features]
    rates = Rates(
        photo_s=typical([photos.features.seconds(name) for name in names], bench.workers),
        photo_mb=float(np.mean(sizes)) / MB,
        keypoints=float(np.mean([len(f) for f in features])),
        descriptor_bytes=features[0].descriptors.dtype.itemsize * features[0].descriptors.shape[1],
        base_mb=resident_memory_mb(),
        worker_mb=worker_mb,
    )
    if foreseen.stage("reference_global").todo + foreseen.stage("query_global").todo >= LEAST_TODO:
        rates = dataclasses.replace(rates, **_of_descriptors(bench, use.retrieval, photos))
    if foreseen.stage("pair_matches").todo >= LEAST_TODO:
        rates = dataclasses.replace(rates, **_of_pairs(bench, use, photos))
    return dataclasses.replace(rates, base_mb=resident_memory_mb())


def typical(seconds: Sequence[float], workers: int) -> float:
    """Of one item; the first of each worker, which loads and compiles, is left out where there are enough."""
    return float(np.median(seconds[min(workers, len(seconds) // 2) :]))


def _of_descriptors(bench: Workbench, retrieval, photos: Photos) -> dict:
    """Seconds and size of a global descriptor. One that learns from the references learns from these few, once."""
    if not isinstance(retrieval, GlobalDescriptor):
        return {}
    names, seconds = photos.images.names, []
    try:
        with bench.stage("trial"):
            learned = retrieval.fit(Lazy(names, lambda name: source_of(retrieval.needs, photos, name)))
            for name in names:
                start = time.perf_counter()
                vector = retrieval.describe(source_of(retrieval.needs, photos, name), learned)
                seconds.append(time.perf_counter() - start)
    except InputError:  # too few photos to learn from
        return {}
    return {"global_s": typical(seconds, 1), "global_bytes": vector.nbytes}


def _of_pairs(bench: Workbench, use: "Components", photos: Photos) -> dict:
    """Seconds and matches of a pair of photos that see the same."""
    names = photos.images.names
    pairs = [tuple(sorted(pair)) for pair in zip(names[::2], names[1::2], strict=False)]
    matches = match_pairs(bench, use.pair_matching, pairs, photos)
    return {
        "pair_s": typical([matches.seconds(pair) for pair in pairs], bench.workers),
        "pair_matches": float(np.mean([len(matches[pair].rows) for pair in pairs])),
    }
