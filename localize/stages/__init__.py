"""One function per stage of a pipeline: read, run one component over items, keep the results in the store."""

from localize.stages.features import FeatureSet, GivenKeypoints, OnePass, extract_features, find_photos
from localize.stages.mapping import (
    BuiltIndex,
    LocalizationMap,
    build_index,
    choose_pairs,
    collect_rows,
    import_map,
    map_references,
    match_pairs,
)
from localize.stages.queries import estimate_poses, match_queries, match_query
from localize.stages.ranking import BuiltRanking, build_ranking, rank_photos
from localize.stages.results import Localized, write_results
from localize.stages.retrieval import (
    GlobalDescriptors,
    describe_photos,
    global_vector,
    learn_retrieval,
    one_pass,
    read_vectors,
)
from localize.stages.workbench import StageRecord, Workbench

__all__ = [
    "BuiltIndex",
    "BuiltRanking",
    "FeatureSet",
    "GivenKeypoints",
    "GlobalDescriptors",
    "LocalizationMap",
    "Localized",
    "OnePass",
    "StageRecord",
    "Workbench",
    "build_index",
    "build_ranking",
    "choose_pairs",
    "collect_rows",
    "describe_photos",
    "estimate_poses",
    "extract_features",
    "find_photos",
    "global_vector",
    "import_map",
    "learn_retrieval",
    "map_references",
    "match_pairs",
    "match_queries",
    "match_query",
    "one_pass",
    "rank_photos",
    "read_vectors",
    "write_results",
]
