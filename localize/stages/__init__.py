"""One function per stage of a pipeline: read, run one component over items, keep the results in the store."""

from localize.stages.features import (
    FeatureSet,
    GlobalDescriptors,
    describe_photos,
    extract_features,
    global_vector,
    learn_retrieval,
    rank_photos,
)
from localize.stages.mapping import BuiltIndex, LocalizationMap, build_index, collect_rows, map_references, match_pairs
from localize.stages.queries import estimate_poses, match_queries, match_query
from localize.stages.results import write_results
from localize.stages.workbench import StageRecord, Workbench

__all__ = [
    "BuiltIndex",
    "FeatureSet",
    "GlobalDescriptors",
    "LocalizationMap",
    "StageRecord",
    "Workbench",
    "build_index",
    "collect_rows",
    "describe_photos",
    "estimate_poses",
    "extract_features",
    "global_vector",
    "learn_retrieval",
    "map_references",
    "match_pairs",
    "match_queries",
    "match_query",
    "rank_photos",
    "write_results",
]
