"""The references most similar to each query, and what the search among them prepares."""

import hashlib
from dataclasses import dataclass

import numpy as np

from localize.keys import describe
from localize.retrieval.base import Ranking
from localize.retrieval.ranking import rank
from localize.stages.workbench import Workbench
from localize.types import ImageList, Retrieval

BLOCK = 1 << 14  # vectors looked at together


@dataclass(frozen=True, eq=False)
class BuiltRanking:
    """A ranking component, and what it built; None if it needs nothing."""

    component: Ranking
    built: object = None


def build_ranking(bench: Workbench, ranking: Ranking, vectors: np.ndarray | None) -> BuiltRanking:
    """What the search among the references' vectors (R, D) needs, from the store or built now."""
    if vectors is None or not hasattr(ranking, "build"):
        return BuiltRanking(ranking)
    spec = {"ranking": describe(ranking, building=True), "vectors": _digest(vectors)}
    built, _ = bench.artifact("ranking_index", spec, lambda: ranking.build(vectors))
    return BuiltRanking(ranking, built)


def _digest(vectors: np.ndarray) -> str:
    """Of all values, some at a time: the vectors of a large map do not fit into memory."""
    h = hashlib.blake2b(f"{vectors.shape} {vectors.dtype}".encode(), digest_size=16)
    for at in range(0, len(vectors), BLOCK):
        h.update(np.ascontiguousarray(vectors[at : at + BLOCK]))
    return h.hexdigest()


def rank_photos(
    bench: Workbench,
    ranking: BuiltRanking,
    queries: ImageList,
    query_vectors: np.ndarray,
    references: ImageList,
    reference_vectors: np.ndarray,
    num_frames: int,
    query_features=None,
    reference_features=None,
) -> Retrieval:
    """The references most similar to each query, best first."""
    with bench.stage("ranking") as record:
        record.computed = 1
        asked = (queries, query_vectors, references, reference_vectors, num_frames, ranking.component, ranking.built)
        return rank(*asked, query_features=query_features, reference_features=reference_features)
