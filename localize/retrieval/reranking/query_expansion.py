"""Query expansion: a query asks once more, with the mean of its own descriptor and those of the best it found.

Chum, Philbin, Sivic, Isard & Zisserman, "Total recall", ICCV 2007 (the mean); Radenovic, Tolias & Chum, TPAMI 2019,
section 5.2 (weights by the similarity to the power alpha).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.retrieval.base import RankingSources
from localize.types import Retrieval


@dataclass(frozen=True)
class QueryExpansion:
    """Only the references that were found are put into another order; `ranking.num_reranked` says how many."""

    num_expanded: int = 10  # best references that are added to the query
    alpha: float = 3.0  # power of a reference's similarity that it is weighted by; 0: all alike

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("num_expanded",))

    def rerank(self, ranking: Retrieval, sources: RankingSources) -> Retrieval:
        """The same references of each query by their similarity to its expanded descriptor; ties as they were."""
        ranked, scores = ranking.ranked.copy(), ranking.scores.copy()
        for q, (rows, similarities) in enumerate(zip(ranking.ranked, ranking.scores, strict=True)):
            known = rows >= 0
            if not known.any():
                continue
            vectors = sources.reference_vectors[rows[known]].astype(np.float32)
            weights = np.maximum(similarities[known][: self.num_expanded], 0) ** self.alpha
            asked = sources.query_vectors[q] + weights @ vectors[: self.num_expanded]
            again = vectors @ (asked / max(float(np.linalg.norm(asked)), 1e-12))
            order = np.argsort(-again, kind="stable")
            ranked[q, known], scores[q, known] = rows[known][order], again[order]
        return Retrieval(ranking.query_names, ranking.reference_names, ranked, scores)
