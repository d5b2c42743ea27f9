"""One function per stage of a pipeline: read, run one component over items, keep the results in the store."""

from localize.stages.descriptors import (
    DescribedPhotos,
    DescribedReferences,
    describe_references,
    global_vector,
    learn_descriptor,
)
from localize.stages.features import extract_features
from localize.stages.index import BuiltIndex, build_index
from localize.stages.keypoints import GivenKeypoints, given_keypoints
from localize.stages.mapping import LocalizationMap, choose_pairs, collect_rows, map_points, match_pairs, triangulate
from localize.stages.objects import GallerySearch, search_gallery
from localize.stages.photos import PhotoList, Photos, find_photos, query_photos, reference_photos
from localize.stages.poses import estimate_poses
from localize.stages.ranking import BuiltRanking, BuiltRerankers
from localize.stages.reconstruction import place_references
from localize.stages.reranking import Looks, keep_regions
from localize.stages.results import write_results
from localize.stages.retrieval import PriorFrames, rank_photos, retrieve
from localize.stages.union import Matched, match_points, match_query, nearest_points
from localize.stages.upright import like_supplied
from localize.stages.workbench import StageRecord, Workbench

__all__ = [
    "BuiltIndex",
    "BuiltRanking",
    "BuiltRerankers",
    "DescribedPhotos",
    "DescribedReferences",
    "GallerySearch",
    "GivenKeypoints",
    "LocalizationMap",
    "Looks",
    "Matched",
    "PhotoList",
    "Photos",
    "PriorFrames",
    "StageRecord",
    "Workbench",
    "build_index",
    "choose_pairs",
    "collect_rows",
    "describe_references",
    "estimate_poses",
    "extract_features",
    "find_photos",
    "given_keypoints",
    "global_vector",
    "keep_regions",
    "learn_descriptor",
    "like_supplied",
    "map_points",
    "match_pairs",
    "match_points",
    "match_query",
    "nearest_points",
    "place_references",
    "query_photos",
    "rank_photos",
    "reference_photos",
    "retrieve",
    "search_gallery",
    "triangulate",
    "write_results",
]
