"""Steps that the pipelines share: the map of a scene, the queries' features, and what they cost."""

from dataclasses import dataclass

import numpy as np

from localize.features.base import LocalFeature
from localize.features.sift import Sift
from localize.index.base import Index
from localize.index.random_trees import RandomTrees
from localize.mapping.base import Mapping
from localize.mapping.triangulation import Triangulation
from localize.matching.base import PairMatcher, PointMatcher
from localize.matching.mutual import MutualNearest
from localize.matching.ratio import RatioTest
from localize.pose.base import PoseEstimator
from localize.pose.poselib import PoseLib
from localize.retrieval.base import GlobalDescriptor
from localize.retrieval.vlad import Vlad
from localize.search.base import Search
from localize.search.prior import Union
from localize.stages import (
    FeatureSet,
    GlobalDescriptors,
    LocalizationMap,
    Workbench,
    describe_photos,
    extract_features,
    learn_retrieval,
    map_references,
    rank_photos,
)
from localize.store import ShelfItems
from localize.types import ImageList, InputError, Retrieval, Scene


@dataclass(frozen=True)
class Components:
    """One component per role, with the defaults of conf/config.yaml."""

    feature: LocalFeature = Sift()
    retrieval: GlobalDescriptor = Vlad()
    pair_matching: PairMatcher = MutualNearest()
    mapping: Mapping = Triangulation()
    index: Index = RandomTrees()
    search: Search = Union()
    matching: PointMatcher = RatioTest()
    pose: PoseEstimator = PoseLib()


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos that could be read, and their features."""

    images: ImageList
    features: FeatureSet


@dataclass(frozen=True, eq=False)
class MappedScene:
    """The map of a scene with the global descriptors of its references."""

    map: LocalizationMap
    descriptors: GlobalDescriptors
    vectors: np.ndarray  # (I, D) float32

    def retrieve(self, bench: Workbench, photos: Photos, num_frames: int) -> Retrieval:
        """The references most similar to each query."""
        vectors = describe_photos(bench, self.descriptors, photos.images, photos.features, "query_global")
        return rank_photos(bench, photos.images, vectors, self.map.references, self.vectors, num_frames)


def map_scene(bench: Workbench, scene: Scene, use: Components) -> MappedScene:
    """Features and global descriptors of the references, their matches, triangulation with the known poses."""
    features = extract_features(bench, use.feature, scene.image_root, scene.references, "reference_features")
    references = features.readable(scene.references)
    if len(references) < 2:
        raise InputError(f"scene {scene.name} has {len(references)} usable reference photos; a map needs at least 2")
    descriptors = learn_retrieval(bench, use.retrieval, references, features)
    vectors = describe_photos(bench, descriptors, references, features, "reference_global")
    town = map_references(bench, use.mapping, use.pair_matching, references, features, vectors)
    return MappedScene(town, descriptors, vectors)


def read_queries(bench: Workbench, scene: Scene, use: Components) -> Photos:
    """Features of the queries."""
    root = scene.query_root or scene.image_root
    features = extract_features(bench, use.feature, root, scene.queries, "query_features")
    return Photos(features.readable(scene.queries), features)


def measured_seconds(
    town: MappedScene, photos: Photos, matches: ShelfItems, poses: ShelfItems, *, retrieved: bool
) -> dict[str, list[float]]:
    """Seconds of every query per step, on one thread, as measured when it was computed."""
    names, digests = photos.images.names, photos.features.digests
    steps = {"features": [photos.features.seconds(n) for n in names]}
    if retrieved:
        steps["global descriptor"] = [town.descriptors.shelf.seconds(digests[n]) for n in names]
    steps["search and matching"] = [matches.seconds(n) for n in names]
    steps["pose"] = [poses.seconds(n) for n in names]
    return steps
