"""Mean average precision and precision at k of the Revisited Oxford and Paris benchmarks (Radenovic et al., CVPR 2018).

What counts is said by their code as much as by the paper:

* junk photos are taken out of the ranking first; those that a setup does not ask for are junk too;
* average precision is the area under the precision-recall curve by trapezoids, where precision before the first
  photo of all is 1; a positive that was not found adds nothing;
* precision at k is that among the first k, or among those up to the last positive where these are fewer;
* a query without positives does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.io.benchmarks.revisited import GradedQuery

SETUPS = {  # grades that are positive, and those that are junk
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}


@dataclass(frozen=True, eq=False)
class SetupScores:
    """What the queries come to in one setup; NaN for those without positives."""

    average_precision: np.ndarray  # (Q,) 0 to 1
    precision: np.ndarray  # (Q, K) at each k

    @property
    def num_counted(self) -> int:
        """Queries that have positives."""
        return int(np.isfinite(self.average_precision).sum())

    @property
    def mean_average_precision(self) -> float | None:
        """mAP over the queries that count; None if none does."""
        return float(np.nanmean(self.average_precision)) if self.num_counted else None

    @property
    def mean_precision(self) -> list[float | None]:
        """mP@k over the queries that count, for each k."""
        counted = self.precision[np.isfinite(self.average_precision)]
        return counted.mean(0).tolist() if len(counted) else [None] * self.precision.shape[1]


def score_rankings(
    rankings: Sequence[np.ndarray], queries: Sequence[GradedQuery], ks: Sequence[int]
) -> dict[str, SetupScores]:
    """The scores by setup. rankings: of each query, places in the database, best first, each at most once."""
    scores = {}
    for setup, (positive, ignored) in SETUPS.items():
        ap, precision = np.full(len(queries), np.nan), np.full((len(queries), len(ks)), np.nan)
        for i, (ranking, query) in enumerate(zip(rankings, queries, strict=True)):
            positives = np.concatenate([getattr(query, grade) for grade in positive])
            if len(positives):
                junk = np.concatenate([getattr(query, grade) for grade in ignored])
                ranks = ranks_without(ranking, positives, junk)
                ap[i] = average_precision(ranks, len(positives))
                precision[i] = [precision_at(ranks, k) for k in ks]
        scores[setup] = SetupScores(ap, precision)
    return scores


def ranks_without(ranking: np.ndarray, positives: np.ndarray, junk: np.ndarray) -> np.ndarray:
    """Ranks (P,) of the positives that were found, ascending from 0, once the junk is taken out of the ranking."""
    return np.flatnonzero(np.isin(ranking[~np.isin(ranking, junk)], positives))


def average_precision(ranks: np.ndarray, num_positives: int) -> float:
    """From the ranks of those that were found, ascending from 0, of so many positives."""
    found = np.arange(len(ranks))
    before = np.where(ranks > 0, found / np.maximum(ranks, 1), 1.0)
    return float(((before + (found + 1) / (ranks + 1)) / 2).sum() / num_positives)


def precision_at(ranks: np.ndarray, k: int) -> float:
    """Among the first k, or up to the last positive; 0 where none was found."""
    if not len(ranks):
        return 0.0
    reach = min(int(ranks[-1]) + 1, k)
    return float((ranks < reach).sum() / reach)
