"""From photos with known poses to a map that can be searched."""

import dataclasses
import logging
import pathlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from localize.io.models.supplied import sound_model
from localize.io.records import ArrayWriter
from localize.keys import describe, key_of
from localize.mapping.base import MapImport, Mapping
from localize.mapping.focal_check import looked_at
from localize.mapping.frusta import depths_in_model, guessed_depths, rank_by_frusta
from localize.mapping.pairs import all_pairs, model_of_pairs, neighbour_pairs, rank_by_covisibility
from localize.mapping.used_keypoints import used_keypoints
from localize.matching.base import PairMatcher, PosedPairMatcher
from localize.retrieval.ranking import rank, rank_by_pose
from localize.stages.descriptors import DescribedReferences
from localize.stages.keypoints import model_digests
from localize.stages.map_checks import Check, CheckedReferences
from localize.stages.photos import Photos, check_enough
from localize.stages.shelved import Shelved, Streamed
from localize.stages.workbench import Workbench
from localize.types import Image, ImageList, InputError, Map, ModelFiles, PairMatches, PointRows, Scene

if TYPE_CHECKING:
    from localize.roles import Components

log = logging.getLogger(__name__)

POSED_PAIRS = 20  # of a camera, matched once more without their poses, to judge these


@dataclass(frozen=True, eq=False)
class LocalizationMap:
    """The map with all a query needs of it."""

    references: ImageList
    rows: PointRows
    rows_key: str
    model: Map  # which keypoint of which reference sees each point
    notes: tuple[str, ...] = ()  # what of the references contradicts their matches, one sentence each
    figures: dict = field(default_factory=dict)  # how well the references' poses fit their photos, for results.json

    @property
    def num_observations(self) -> int:
        """Number of times a point is seen."""
        return len(self.model.image)


def map_points(
    bench: Workbench, use: "Components", scene: Scene, references: Photos, described: DescribedReferences | None
) -> LocalizationMap:
    """The map of the references: triangulated from matches of chosen pairs, or the model that came with the scene.

    described: None where nothing compares the references. InputError for fewer than two of them.
    """
    check_enough(references)
    check = Check(bench, references, getattr(use.mapping, "trust_poses", False))
    if isinstance(use.mapping, MapImport):
        points, key = import_map(bench, use.mapping, scene.supplied, references)
        return _finished(check, points, key, check.model(points, key))
    pairs = choose_pairs(bench, use.mapping, references, described, scene.supplied)
    posed = isinstance(use.pair_matching, PosedPairMatcher)  # its matches agree with the poses, right or wrong
    few = _few(references.images, pairs) if posed else pairs
    matches = match_pairs(bench, use.pair_matching, few, references, posed=False)
    min_angle_deg = getattr(use.mapping, "min_angle_deg", 0.0)
    said = check.matches(matches.item_keys, matches.__getitem__, _of_matches(references, matches), min_angle_deg)
    matches = match_pairs(bench, use.pair_matching, pairs, references) if posed else matches
    return _finished(check, *triangulate(bench, use.mapping, references, matches), said)


def _few(images: ImageList, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs that are matched without their poses, where the others are matched with them."""
    of_one_camera = [pair for of_camera in looked_at(images, pairs, POSED_PAIRS) for pair in of_camera]
    return of_one_camera or pairs[:: max(1, len(pairs) // POSED_PAIRS)]


def _finished(check: Check, points: Map, key: str, said: CheckedReferences) -> LocalizationMap:
    """The map without what stands still in the pictures, with its descriptors and all that is to be said of it."""
    points, key, notes = check.points(points, key, said.poses)
    found = collect_rows(check.bench, points, key, check.references.features)
    return dataclasses.replace(found, notes=(*said.notes, *notes), figures=check.figures(points, key, said.poses))


def choose_pairs(
    bench: Workbench,
    mapping: Mapping,
    references: Photos,
    described: DescribedReferences | None = None,
    supplied: ModelFiles | None = None,
) -> list[tuple[str, str]]:
    """The pairs of references to match, as `mapping.pairs` says; without global descriptors, for the most similar ones
    the nearest views. supplied: the model that covisibility is counted in, and that depths of frusta are taken from."""
    images, number = references.images, mapping.num_neighbours
    with bench.stage("pair_selection") as record:
        record.computed = 1
        if mapping.pairs == "exhaustive":
            return all_pairs(images.names)
        if mapping.pairs == "covisibility":
            model = sound_model(model_of_pairs(supplied))
            return neighbour_pairs(rank_by_covisibility(model, images, supplied.names, number))
        if mapping.pairs == "frusta":
            return neighbour_pairs(rank_by_frusta(images, _depths(images, number, supplied), number))
        if mapping.pairs == "poses" or described is None or described.vectors is None:
            return neighbour_pairs(rank_by_pose(images, number))
        vectors, ranking = described.vectors, described.ranking
        by = ranking.component, ranking.built
        return neighbour_pairs(rank(images, vectors, images, vectors, number, *by, restricted=False))


def _depths(images: ImageList, number: int, supplied: ModelFiles | None) -> np.ndarray:
    if supplied is None:
        return guessed_depths(images, number)
    return depths_in_model(sound_model(model_of_pairs(supplied)), images, supplied.names, number)


def match_pairs(
    bench: Workbench, pair_matching: PairMatcher, pairs: list[tuple[str, str]], photos: Photos, *, posed: bool = True
) -> Shelved:
    """PairMatches of each pair of photos. A pair whose two photos stayed the same is reused.

    posed: a PosedPairMatcher makes use of the photos' poses; then these must be the same too.
    """
    features, images = photos.features, photos.images.by_name
    posed = posed and isinstance(pair_matching, PosedPairMatcher)
    spec = {"matching": describe(pair_matching), "features": features.key} | ({"posed": True} if posed else {})
    keys = {pair: key_of([features.item_keys[name] for name in pair]) for pair in pairs}
    if posed:
        keys = {pair: key_of([key, *(_placed(images[name])[1:] for name in pair)]) for pair, key in keys.items()}

    def match(pair: tuple[str, str]) -> PairMatches:
        first, second = (features[name] for name in pair)
        if posed:
            return pair_matching.match_posed(first, second, tuple(images[name] for name in pair))
        return pair_matching.match(first, second)

    return bench.fill("pair_matches", bench.store.shelf("pair_matches", spec), keys, match)


def triangulate(bench: Workbench, mapping: Mapping, references: Photos, matches: Shelved) -> tuple[Map, str]:
    """The map of the references from the matches of pairs of them, and its key."""
    features = references.features
    spec = {"mapping": describe(mapping, building=True), **_of_matches(references, matches)}

    def build() -> Map:
        keypoints = {name: features[name].keypoints for name in references.images.names}
        return mapping.build(references.images, keypoints, Streamed(matches))

    return bench.artifact("map", spec, build)


def import_map(bench: Workbench, mapping: MapImport, files: ModelFiles, references: Photos) -> tuple[Map, str]:
    """The supplied model as the map of the references, and its key."""
    path, features = pathlib.Path(files.model), references.features
    spec = {
        "mapping": describe(mapping, building=True),
        "model": model_digests(path),
        "features": features.key,
        "references": [(_placed(i), files.names.get(i.name), features.item_keys[i.name]) for i in references.images],
    }

    def build() -> Map:
        keypoints = {name: features[name].keypoints for name in references.images.names}
        model = sound_model(path)
        if files.database is not None:  # then only the keypoints that the model uses were described
            model = used_keypoints(model)[1]
        return mapping.import_model(model, references.images, files.names, keypoints)

    return bench.artifact("map", spec, build)


def _of_matches(references: Photos, matches: Shelved) -> dict:
    """What decides all that is made of the matches between references."""
    return {
        "matches": matches.key,
        "pairs": list(matches.item_keys),
        "references": [(_placed(image), references.features.item_keys[image.name]) for image in references.images],
    }


def _placed(image: Image) -> list:
    """What of an image decides a map: not its tags and groups."""
    return [image.name, describe(image.camera), describe(image.pose)]


def collect_rows(bench: Workbench, points: Map, map_key: str, features: Shelved) -> LocalizationMap:
    """One row per observation, sorted by image: descriptor and point.

    An observation whose keypoint could not be described (zeros) has no row. InputError if none could.
    """
    spec = {"map": map_key, "features": features.key, "rows": "described"}

    def build(folder: pathlib.Path) -> tuple[PointRows, dict]:
        return _described_rows(points, features, folder)

    rows, key = bench.artifact("map_descriptors", spec, build, streamed=True)
    return LocalizationMap(points.images, rows, key, points)


def _described_rows(points: Map, features: Shelved, folder: pathlib.Path) -> tuple[PointRows, dict]:
    """The rows, whose descriptors are written into the folder image by image, and the note of these."""
    point = np.repeat(np.arange(len(points.points), dtype=np.int32), np.diff(points.indptr))
    order = np.lexsort((points.keypoint, points.image))
    bounds = np.searchsorted(points.image[order], np.arange(len(points.images) + 1))
    used, writer, indptr = np.zeros(len(order), bool), None, [0]
    for i, name in enumerate(points.images.names):
        rows = order[bounds[i] : bounds[i + 1]]
        found = features[name].descriptors[points.keypoint[rows]]
        writer = writer or ArrayWriter(folder / "descriptors.npy", found.shape[1], found.dtype, len(order))
        seen = used[bounds[i] : bounds[i + 1]] = found.any(1)
        writer.add(found[seen])
        indptr.append(indptr[-1] + np.count_nonzero(seen))
    descriptors, note = writer.finish()
    point = point[order[used]]
    if len(point) < len(order):
        lost = len(points.points) - len(np.unique(point))
        log.info(
            "%d of %d observations could not be described, such as those too near the border; %d of %d points are left "
            "without any and are not searched",
            *(len(order) - len(point), len(order), lost, len(points.points)),
        )
    if not len(point):
        raise InputError("no observation of the map could be described at its keypoint: take mapping=triangulation")
    return PointRows(np.asarray(points.points), descriptors, point, np.array(indptr)), {"descriptors": note}
