"""From photos with known poses to a map that can be searched."""

import functools
import logging
import pathlib
from dataclasses import dataclass

import numpy as np

from localize.index.base import Index
from localize.io.models import read_model
from localize.keys import describe, file_digest, key_of
from localize.mapping.base import MapImport, Mapping
from localize.mapping.pairs import all_pairs, model_of_pairs, neighbour_pairs, rank_by_covisibility
from localize.matching.base import PairMatcher
from localize.retrieval.exact import ExactRanking
from localize.retrieval.ranking import rank, rank_by_pose
from localize.stages.features import FeatureSet
from localize.stages.ranking import BuiltRanking
from localize.stages.workbench import Workbench
from localize.store import ShelfItems
from localize.types import Image, ImageList, InputError, Map, ModelFiles, PairMatches, PointRows, SourceModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class BuiltIndex:
    """An index component, what it built, and the key of that."""

    component: Index
    built: object
    key: str


@dataclass(frozen=True, eq=False)
class LocalizationMap:
    """The map with all a query needs of it."""

    references: ImageList
    rows: PointRows
    rows_key: str
    model: Map  # which keypoint of which reference sees each point

    @property
    def num_observations(self) -> int:
        """Number of times a point is seen."""
        return len(self.model.image)


def match_pairs(
    bench: Workbench, pair_matching: PairMatcher, pairs: list[tuple[str, str]], features: FeatureSet
) -> ShelfItems:
    """PairMatches of each pair of photos. A pair whose two photos stayed the same is reused."""
    shelf = bench.store.shelf("pair_matches", {"matching": describe(pair_matching), "features": features.key})
    items = {pair: key_of([features.digests[pair[0]], features.digests[pair[1]]]) for pair in pairs}
    work = functools.partial(_match_pair, pair_matching, features)
    bench.fill("pair_matches", shelf, {items[pair]: pair for pair in pairs}, work)
    return ShelfItems(shelf, items)


def _match_pair(pair_matching: PairMatcher, features: FeatureSet, pair: tuple[str, str]) -> PairMatches:
    return pair_matching.match(features[pair[0]], features[pair[1]])


def choose_pairs(
    bench: Workbench,
    mapping: Mapping,
    references: ImageList,
    vectors: np.ndarray | None,
    ranking: BuiltRanking | None = None,
    supplied: ModelFiles | None = None,
) -> list[tuple[str, str]]:
    """The pairs of references to match, as `mapping.pairs` says; without global descriptors, for the most similar ones
    the nearest views. supplied: the model that covisibility is counted in."""
    how = getattr(mapping, "pairs", "retrieval")
    with bench.stage("pair_selection") as record:
        record.computed = 1
        if how == "exhaustive":
            return all_pairs(references.names)
        if how == "covisibility":
            model = _supplied_model(model_of_pairs(supplied))
            return neighbour_pairs(rank_by_covisibility(model, references, supplied.names, mapping.num_neighbours))
        if how == "poses" or vectors is None:
            return neighbour_pairs(rank_by_pose(references, mapping.num_neighbours))
        ranking = ranking or BuiltRanking(ExactRanking())
        asked = (references, vectors, references, vectors, mapping.num_neighbours, ranking.component, ranking.built)
        return neighbour_pairs(rank(*asked, restricted=False))


def map_references(
    bench: Workbench,
    mapping: Mapping,
    pair_matching: PairMatcher,
    references: ImageList,
    features: FeatureSet,
    pairs: list[tuple[str, str]],
) -> LocalizationMap:
    """Match the pairs of references, build the map, and collect its descriptors."""
    matches = match_pairs(bench, pair_matching, pairs, features)
    spec = {
        "mapping": describe(mapping),
        "matches": matches.shelf.key,
        "pairs": pairs,
        "references": [(_placed(image), features.digests[image.name]) for image in references],
    }

    def build() -> Map:
        keypoints = {name: features[name].keypoints for name in references.names}
        return mapping.build(references, keypoints, {pair: matches[pair] for pair in pairs})

    points, key = bench.artifact("map", spec, build)
    return collect_rows(bench, points, key, features)


def import_map(
    bench: Workbench, mapping: MapImport, files: ModelFiles, references: ImageList, features: FeatureSet
) -> LocalizationMap:
    """The supplied model as the map, with the descriptors of the references at its observations."""
    path = pathlib.Path(files.model)
    parts = sorted(path.iterdir()) if path.is_dir() else [path]
    spec = {
        "mapping": describe(mapping),
        "model": [file_digest(part) for part in parts if part.is_file()],
        "features": features.key,
        "references": [
            (_placed(image), files.names.get(image.name), features.digests[image.name]) for image in references
        ],
    }

    def build() -> Map:
        model = _supplied_model(path)
        keypoints = {name: features[name].keypoints for name in references.names}
        return mapping.build(model, references, files.names, keypoints)

    points, key = bench.artifact("map", spec, build)
    return collect_rows(bench, points, key, features)


def _supplied_model(path: pathlib.Path) -> SourceModel:
    problems: list[str] = []
    model = read_model(path, problems)
    if problems:
        raise InputError(*problems)
    return model


def _placed(image: Image) -> list:
    """What of an image decides a map: not its tags and groups."""
    return [image.name, describe(image.camera), describe(image.pose)]


def collect_rows(bench: Workbench, points: Map, map_key: str, features: FeatureSet) -> LocalizationMap:
    """One row per observation, sorted by image: descriptor and point.

    An observation whose keypoint could not be described (zeros) has no row. InputError if none could.
    """
    spec = {"map": map_key, "features": features.key, "rows": "described"}
    rows, key = bench.artifact("map_descriptors", spec, lambda: _described_rows(points, features))
    return LocalizationMap(points.images, rows, key, points)


def _described_rows(points: Map, features: FeatureSet) -> PointRows:
    point = np.repeat(np.arange(len(points.points), dtype=np.int32), np.diff(points.indptr))
    order = np.lexsort((points.keypoint, points.image))
    bounds = np.searchsorted(points.image[order], np.arange(len(points.images) + 1))
    used, descriptors, indptr = np.empty(len(order), np.int64), None, [0]
    for i, name in enumerate(points.images.names):
        rows = order[bounds[i] : bounds[i + 1]]
        found = features[name].descriptors[points.keypoint[rows]]
        if descriptors is None:
            descriptors = np.empty((len(order), found.shape[1]), found.dtype)
        seen = found.any(1)
        end = indptr[-1] + np.count_nonzero(seen)
        used[indptr[-1] : end], descriptors[indptr[-1] : end] = rows[seen], found[seen]
        indptr.append(end)
    point = point[used[: indptr[-1]]]
    if len(point) < len(order):
        lost = len(points.points) - len(np.unique(point))
        log.info(
            "%d of %d observations could not be described, such as those too near the border; %d of %d points are left "
            "without any and are not searched",
            *(len(order) - len(point), len(order), lost, len(points.points)),
        )
    if not len(point):
        raise InputError("no observation of the map could be described at its keypoint: take mapping=triangulation")
    return PointRows(np.asarray(points.points), descriptors[: len(point)], point, np.array(indptr))


def build_index(bench: Workbench, index: Index, town: LocalizationMap) -> BuiltIndex:
    """The index over the map's rows; settings that only matter at query time rebuild nothing."""
    spec = {"index": describe(index, building=True), "rows": town.rows_key}
    built, key = bench.artifact("index", spec, lambda: index.build(town.rows))
    return BuiltIndex(index, built, key)
