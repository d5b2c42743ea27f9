"""From a query photo's features to its pose."""

import functools

import numpy as np

from localize.keys import describe, key_of
from localize.matching.base import PointMatcher
from localize.pose.base import PoseEstimator
from localize.search.base import Search
from localize.stages.features import FeatureSet
from localize.stages.mapping import BuiltIndex, LocalizationMap
from localize.stages.workbench import Workbench
from localize.store import ShelfItems
from localize.types import Features, ImageList, Matches2D3D, PointRows, Retrieval


def match_query(
    features: Features,
    rows: PointRows,
    index: BuiltIndex | None,
    frames: np.ndarray | None,
    search: Search,
    matching: PointMatcher,
) -> Matches2D3D:
    """Nearest points among prior leaves and prior frames of one query, the best of both, the ratio test.

    frames: indices of the retrieved references, -1 = none. index, frames: None where the search does not use them.
    """
    descriptors = np.ascontiguousarray(features.descriptors, np.float32)
    leaves = index.component.nearest(index.built, rows, descriptors) if search.uses_leaves else None
    return matching.match(features, search.nearest(leaves, frames, rows, descriptors), rows)


def match_queries(
    bench: Workbench,
    queries: ImageList,
    features: FeatureSet,
    town: LocalizationMap,
    index: BuiltIndex | None,
    frames: Retrieval | None,
    search: Search,
    matching: PointMatcher,
) -> ShelfItems:
    """2D-3D matches of every query."""
    spec = {
        "rows": town.rows_key,
        "features": features.key,
        "search": describe(search),
        "matching": describe(matching),
        "index": index and [index.key, describe(index.component)],
    }
    shelf = bench.store.shelf("matches", spec)
    retrieved = {n: None if frames is None else frames.index[i] for i, n in enumerate(queries.names)}
    items = {n: key_of([features.digests[n], retrieved[n]]) for n in queries.names}

    def work(name: str) -> Matches2D3D:
        return match_query(features[name], town.rows, index, retrieved[name], search, matching)

    todo = [n for n in queries.names if items[n] not in shelf]
    if todo:  # compile the kernels before the clock runs: a query's seconds are its own
        match_query(_first_rows(features[todo[0]]), town.rows, index, retrieved[todo[0]], search, matching)
    bench.fill("matches", shelf, {items[n]: n for n in queries.names}, work)
    return ShelfItems(shelf, items)


def _first_rows(features: Features) -> Features:
    return Features(features.keypoints[:4], features.descriptors[:4], features.scores[:4])


def estimate_poses(bench: Workbench, queries: ImageList, matches: ShelfItems, pose: PoseEstimator) -> ShelfItems:
    """PoseEstimate of every query."""
    shelf = bench.store.shelf("poses", {"pose": describe(pose), "matches": matches.shelf.key})
    items = {q.name: key_of([matches.items[q.name], describe(q.camera)]) for q in queries}
    work = functools.partial(_estimate, pose, queries, matches)
    bench.fill("poses", shelf, {items[n]: n for n in queries.names}, work)
    return ShelfItems(shelf, items)


def _estimate(pose: PoseEstimator, queries: ImageList, matches: ShelfItems, name: str):
    return pose.estimate(matches[name], queries.by_name[name].camera)
