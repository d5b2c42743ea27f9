"""Matches of a query's keypoints with the map: what prior leaves and prior frames find, joined.

The parallel search paper, section 3.2.4.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from localize.keys import describe, key_of
from localize.search.base import Search
from localize.search.prior import merged
from localize.stages.index import BuiltIndex
from localize.stages.mapping import LocalizationMap
from localize.stages.photos import Photos
from localize.stages.retrieval import PriorFrames
from localize.stages.shelved import Shelved
from localize.stages.workbench import Workbench
from localize.types import Features, Matches2D3D, Nearest, PointRows

if TYPE_CHECKING:
    from localize.roles import Components


@dataclass(frozen=True, eq=False)
class Matched:
    """The queries, where their points were looked for, and their 2D-3D matches by name."""

    queries: Photos
    index: BuiltIndex | None
    frames: PriorFrames | None
    matches: Shelved


def match_query(
    features: Features,
    rows: PointRows,
    index: BuiltIndex | None,
    frames: np.ndarray | None,
    use: "Components",
) -> Matches2D3D:
    """Matches of one query: `nearest_points` of its keypoints, then the ratio test."""
    descriptors = np.ascontiguousarray(features.descriptors, np.float32)
    return use.matching.match(features, nearest_points(descriptors, rows, index, frames, use.search), rows)


def nearest_points(
    descriptors: np.ndarray, rows: PointRows, index: BuiltIndex | None, frames: np.ndarray | None, search: Search
) -> Nearest:
    """The nearest points of descriptors (Q, D) float32 in prior leaves and in prior frames, the better of both.

    frames: rows of the retrieved references, -1 = none. index, frames: None where the search does not use them.
    """
    found = []
    if search.uses_leaves:
        found.append(index.nearest(rows, descriptors))
    if search.uses_frames:
        found.append(search.nearest(frames, rows, descriptors))
    return functools.reduce(merged, found)


def match_points(
    bench: Workbench,
    use: "Components",
    queries: Photos,
    points: LocalizationMap,
    *,
    index: BuiltIndex | None = None,
    frames: PriorFrames | None = None,
) -> Matched:
    """2D-3D matches of every query: in the prior leaves of the index, in prior frames, or in the union of both."""
    features, names = queries.features, queries.images.names
    spec = {
        "rows": points.rows_key,
        "features": features.key,
        "search": describe(use.search),
        "matching": describe(use.matching),
        "index": index and [index.key, describe(index.component)],
    }
    shelf = bench.store.shelf("matches", spec)
    ranked = {n: None if frames is None else frames.retrieved.ranked[i] for i, n in enumerate(names)}
    keys = {name: key_of([features.item_keys[name], ranked[name]]) for name in names}

    def match(name: str, asked: Features) -> Matches2D3D:
        return match_query(asked, points.rows, index, ranked[name], use)

    todo = [name for name in names if keys[name] not in shelf]
    if todo:  # compile the kernels before the clock runs: a query's seconds are its own
        first = features[todo[0]]
        match(todo[0], Features(first.keypoints[:4], first.descriptors[:4], first.scores[:4]))
    return Matched(queries, index, frames, bench.fill("matches", shelf, keys, lambda name: match(name, features[name])))
