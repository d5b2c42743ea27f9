"""What the search among the references' global descriptors prepares, and what its re-rankers do."""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np

from localize.keys import describe
from localize.retrieval.base import PreparedRanking, Ranking, RerankedRanking
from localize.stages.workbench import Workbench

BLOCK = 1 << 14  # vectors looked at together


@dataclass(frozen=True, eq=False)
class BuiltRanking:
    """A ranking component, what it built, and what its re-rankers did, one each; None for what needs nothing."""

    component: Ranking
    built: object = None
    rerankers: tuple = ()


@dataclass(frozen=True, eq=False)
class BuiltRerankers:
    """What the re-rankers of a map built, as one record."""

    built: tuple


def build_ranking(bench: Workbench, ranking: Ranking, vectors: np.ndarray) -> BuiltRanking:
    """What the search among the references' vectors (R, D) and its re-rankers need, from the store or built now."""
    digest = functools.cache(lambda: _digest(vectors))

    def built(name: str, kind: str, component):
        if not isinstance(component, PreparedRanking):
            return None
        spec = {kind: describe(component, building=True), "vectors": digest()}
        return bench.artifact(name, spec, lambda: component.build(vectors))[0]

    rerankers = ranking.rerank if isinstance(ranking, RerankedRanking) else ()
    prepared = tuple(built("reranker", "reranker", reranker) for reranker in rerankers)
    return BuiltRanking(ranking, built("ranking_index", "ranking", ranking), prepared)


def _digest(vectors: np.ndarray) -> str:
    """Of all values, some at a time: the vectors of a large map do not fit into memory."""
    h = hashlib.blake2b(f"{vectors.shape} {vectors.dtype}".encode(), digest_size=16)
    for at in range(0, len(vectors), BLOCK):
        h.update(np.ascontiguousarray(vectors[at : at + BLOCK]))
    return h.hexdigest()
