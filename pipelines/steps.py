"""Steps that the pipelines share: the map of a scene, the queries' features, the queries' poses."""

import pathlib
from dataclasses import dataclass

import numpy as np

from localize.features.base import LocalFeature, StoredFeature
from localize.features.sift_crbnet import SiftCrbnet
from localize.index.base import Index
from localize.index.random_trees import RandomTrees
from localize.io.colmap_database import ColmapDatabase
from localize.io.models import check_model
from localize.io.submission import SubmissionFile
from localize.mapping.base import MapImport, Mapping
from localize.mapping.triangulation import Triangulation
from localize.matching.base import PairMatcher, PointMatcher
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.pose.base import PoseEstimator
from localize.pose.poselib import PoseLib
from localize.retrieval.base import GlobalDescriptor, Ranking, StoredDescriptor
from localize.retrieval.compact import Compact
from localize.retrieval.exact import ExactRanking
from localize.search.base import Search
from localize.search.prior import Union
from localize.stages import (
    BuiltIndex,
    BuiltRanking,
    FeatureSet,
    GivenKeypoints,
    GlobalDescriptors,
    LocalizationMap,
    Localized,
    OnePass,
    Workbench,
    build_ranking,
    choose_pairs,
    describe_photos,
    estimate_poses,
    extract_features,
    import_map,
    learn_retrieval,
    map_references,
    match_queries,
    one_pass,
    rank_photos,
    read_vectors,
)
from localize.types import ImageList, InputError, Retrieval, Scene


@dataclass(frozen=True)
class Components:
    """One component per role, with the defaults of conf/config.yaml."""

    feature: LocalFeature | StoredFeature = SiftCrbnet()
    retrieval: GlobalDescriptor | StoredDescriptor = Compact()
    ranking: Ranking = ExactRanking()
    pair_matching: PairMatcher = MutualNearest()
    mapping: Mapping | MapImport = Triangulation()
    index: Index = RandomTrees()
    search: Search = Union()
    matching: PointMatcher = RatioTest()
    pose: PoseEstimator = PoseLib()
    submission: SubmissionFile = SubmissionFile()

    def __post_init__(self):
        for role in ("pair_matching", "matching", "pose"):
            part = getattr(self, role)
            if hasattr(part, "for_feature"):
                object.__setattr__(self, role, part.for_feature(self.feature))
        if getattr(self.submission, "fallback", None) and not self.search.uses_frames:
            raise InputError(
                "submission.fallback=top_frame takes the most similar reference, but this search retrieves none: "
                "take search=union or search=frames"
            )


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos that could be read, and their features."""

    images: ImageList
    features: FeatureSet


@dataclass(frozen=True, eq=False)
class MappedScene:
    """The map of a scene, with the global descriptors of its references where something asks for them."""

    map: LocalizationMap
    features: FeatureSet  # of the references
    descriptors: GlobalDescriptors | None
    vectors: np.ndarray | None  # (I, D) float32 or float16
    ranking: BuiltRanking

    def query_vectors(self, bench: Workbench, photos: Photos, use: Components) -> np.ndarray | None:
        """Global descriptors (Q, D) of the queries; None where the references have none."""
        if self.vectors is None:
            return None
        if self.descriptors is None:
            return read_vectors(bench, use.retrieval, photos.images, "query_global")
        return describe_photos(bench, self.descriptors, photos.images, photos.features, "query_global")

    def retrieve(self, bench: Workbench, photos: Photos, use: Components) -> Retrieval | None:
        """The references most similar to each query, if the search looks at frames."""
        if not use.search.uses_frames:
            return None
        vectors = self.query_vectors(bench, photos, use)
        if vectors is None:
            return use.retrieval.ranking(photos.images, self.map.references, use.search.num_frames)
        asked = (photos.images, vectors, self.map.references, self.vectors, use.search.num_frames)
        return rank_photos(bench, self.ranking, *asked, photos.features, self.features)


def map_scene(bench: Workbench, scene: Scene, use: Components, *, describe: bool = False) -> MappedScene:
    """Features and global descriptors of the references, and the map: triangulated from their matches, or imported.

    describe: make the global descriptors also where neither the map nor the search asks for them.
    """
    imports = getattr(use.mapping, "imports", False)
    given = _given_keypoints(scene, use) if imports else None
    by_similarity = not imports and getattr(use.mapping, "pairs", "retrieval") == "retrieval"
    described = use.search.uses_frames or by_similarity or describe
    both = _one_pass(bench, use) if described else None
    root, name = scene.image_root, "reference_features"
    features = extract_features(bench, use.feature, root, scene.references, name, given, both)
    references = features.readable(scene.references)
    if len(references) < 2:
        raise InputError(f"scene {scene.name} has {len(references)} usable reference photos; a map needs at least 2")
    descriptors = vectors = None
    dtype = use.ranking.vectors_dtype
    if use.retrieval.needs != "pairs" and described:
        if use.retrieval.needs == "name":
            vectors = read_vectors(bench, use.retrieval, references, "reference_global", dtype)
        else:
            descriptors = learn_retrieval(bench, use.retrieval, references, features)
            vectors = describe_photos(bench, descriptors, references, features, "reference_global", dtype)
    ranking = build_ranking(bench, use.ranking, vectors)
    if imports:
        town = import_map(bench, use.mapping, scene.supplied, references, features)
    else:
        pairs = choose_pairs(bench, use.mapping, references, vectors, ranking, scene.supplied)
        town = map_references(bench, use.mapping, use.pair_matching, references, features, pairs)
    return MappedScene(town, features, descriptors, vectors, ranking)


def _one_pass(bench: Workbench, use: Components) -> OnePass | None:
    """The global descriptor, if it and the local feature read the map of one trunk: the network sees a photo once."""
    trunks = [getattr(part, "trunk", lambda: None)() for part in (use.feature, use.retrieval)]
    return one_pass(bench, use.retrieval) if trunks[0] is not None and trunks[0] == trunks[1] else None


def _given_keypoints(scene: Scene, use: Components) -> GivenKeypoints | None:
    """The keypoints the supplied model counts; None if they are the feature's own."""
    files = scene.supplied
    if files is None:
        raise InputError(f"{scene.name} comes without a 3D model to import: take mapping=triangulation")
    check_model(pathlib.Path(files.model))
    if files.database is None:
        return None
    if not hasattr(use.feature, "describe_at"):
        raise InputError(
            f"{type(use.feature).__name__} cannot describe the keypoints of {files.database}: take another feature, or "
            "mapping=triangulation"
        )
    names = {name: in_model.removeprefix("./") for name, in_model in files.names.items()}
    return GivenKeypoints(ColmapDatabase(files.database), names)


def read_queries(bench: Workbench, scene: Scene, use: Components) -> Photos:
    """Features of the queries."""
    root = scene.query_root or scene.image_root
    both = _one_pass(bench, use) if use.search.uses_frames else None
    features = extract_features(bench, use.feature, root, scene.queries, "query_features", one_pass=both)
    return Photos(features.readable(scene.queries), features)


def localize_queries(
    bench: Workbench, town: MappedScene, photos: Photos, index: BuiltIndex | None, use: Components
) -> Localized:
    """Prior frames, matches with the nearest points, poses, and the measured seconds of every step."""
    frames = town.retrieve(bench, photos, use)
    matches = match_queries(bench, photos.images, photos.features, town.map, index, frames, use.search, use.matching)
    poses = estimate_poses(bench, photos.images, matches, use.pose)
    names = photos.images.names
    seconds = {"features": [photos.features.seconds(n) for n in names]}
    if frames is not None and town.descriptors is not None:
        seconds["global descriptor"] = [town.descriptors.seconds(photos.features, n) for n in names]
    seconds["search and matching"] = [matches.seconds(n) for n in names]
    seconds["pose"] = [poses.seconds(n) for n in names]
    return Localized(index, frames, matches, poses, seconds)
