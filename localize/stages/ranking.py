"""What the search among the references' global descriptors prepares."""

import hashlib
from dataclasses import dataclass

import numpy as np

from localize.keys import describe
from localize.retrieval.base import PreparedRanking, Ranking
from localize.stages.workbench import Workbench

BLOCK = 1 << 14  # vectors looked at together


@dataclass(frozen=True, eq=False)
class BuiltRanking:
    """A ranking component, and what it built; None if it needs nothing."""

    component: Ranking
    built: object = None


def build_ranking(bench: Workbench, ranking: Ranking, vectors: np.ndarray) -> BuiltRanking:
    """What the search among the references' vectors (R, D) needs, from the store or built now."""
    if not isinstance(ranking, PreparedRanking):
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
