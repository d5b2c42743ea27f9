"""ASMK*: the best references, or all of them, by how alike the features of their visual words are.

Tolias, Avrithis & Jegou, IJCV 2016, on the local features of HOW (Tolias, Jenicek & Chum, ECCV 2020), with its authors'
settings: one word for each feature of a reference, five of a query, signs of residuals, no idf.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, problems_of, query_field
from localize.kernels.asmk import MAX_BITS, InvertedFile, aggregated
from localize.retrieval import photo_network as net
from localize.retrieval.base import NothingLearned, RankingSources
from localize.retrieval.how import SCALES, How, Reduction
from localize.retrieval.kept_regions import KeptWords, inverted_file
from localize.types import InputError, Retrieval, VisualWords

SETTING = "ranking.rerank.0.how"


@dataclass(frozen=True, eq=False)
class AsmkModel:
    """What of the references decides which words a photo has: the reduction, if it is learned, and the words."""

    reduction: Reduction | NothingLearned
    centers: np.ndarray  # (K, dim) float32


@dataclass(frozen=True)
class Asmk:
    """References by the sum, over words in common, of how many signs agree; scores are from 0 to 1."""

    how: How = How(scales=SCALES)  # the network whose local features are compared
    num_features: int = 1000  # local features of a photo, those with the most attention of all scales
    num_words: int = 65536  # of the codebook, k-means of the references' features
    min_per_word: int = 10  # features that k-means must have for each word: fewer words, if there are fewer
    num_samples: int = 100_000  # features that k-means sees, as many from each photo
    num_photos: int = 1000  # references that they come from, spread evenly
    iterations: int = 10  # of k-means
    query_assignment: int = 5  # words that a query's feature counts for; a reference's counts for one
    seed: int = 0
    exponent: float = query_field(3.0)  # of the similarity of two codes, -1 to 1
    threshold: float = query_field(0.0)  # below which it counts nothing
    num_verified: int | None = query_field(100)  # best references of each query; None: all are searched

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "faiss", "scipy")

    def __post_init__(self):
        counts = ("num_features", "num_words", "min_per_word", "num_samples", "num_photos", "iterations")
        check_component(self, positive=(*counts, "query_assignment", "num_verified", "exponent"))

    def preflight(self) -> list[str]:
        """What is missing, does not fit, or is no weights."""
        return problems_of(self._check)

    def files(self) -> list[str]:
        """The weights, whose content decides the words; InputError if they are missing."""
        return [self.how.weights_file(f"{SETTING}.weights", f", or take {SETTING}.backbone=compact")]

    def learn(self, photos: Sequence[np.ndarray]) -> AsmkModel:
        """The reduction, as the descriptor learns it, and the codebook."""
        self._check()
        reduction, rows = self.how.fit(photos), net.evenly(len(photos), self.num_photos)
        share = min(self.num_features, -(-self.num_samples // max(1, len(rows))))
        found = [self.how.local_features(photos[i], reduction, share, self.how.scales) for i in rows]
        sample = np.concatenate(found)
        number = max(1, min(self.num_words, len(sample) // self.min_per_word))
        options = {"niter": self.iterations, "seed": self.seed, "min_points_per_centroid": 1}
        kmeans = faiss.Kmeans(sample.shape[1], number, max_points_per_centroid=len(sample), **options)
        kmeans.train(sample)
        return AsmkModel(reduction, kmeans.centroids.copy())

    def find_regions(self, photo: np.ndarray, learned: AsmkModel, *, of_query: bool) -> VisualWords:
        """The visual words of an RGB photo (H, W, 3) uint8; ValueError for another."""
        features = self.how.local_features(photo, learned.reduction, self.num_features, self.how.scales)
        number = self.query_assignment if of_query else 1
        return VisualWords(*aggregated(features, np.asarray(learned.centers), number), features.shape[1])

    def rerank(self, ranking: Retrieval, sources: RankingSources) -> Retrieval:
        """The first `num_verified` references of each query by their similarity, then the others with 0; or, of all
        that it may find, as many as there were. Ties as they were, those that were not there last."""
        if sources.query_regions is None:
            raise ValueError("there are no visual words to compare: the stage that ranks photos finds them")
        ranked, scores = np.full_like(ranking.ranked, -1), np.full(ranking.ranked.shape, -np.inf, np.float32)
        everything = self.num_verified is None
        compared = np.unique(ranking.ranked[:, : self.num_verified])
        compared = np.arange(len(ranking.reference_names)) if everything else compared[compared >= 0]
        inverted = _inverted([ranking.reference_names[row] for row in compared], sources.reference_regions)
        for q, given in enumerate(ranking.ranked):
            given = given[given >= 0]
            if not len(given):
                continue
            words, found = sources.query_regions[ranking.query_names[q]], np.zeros(len(ranking.reference_names))
            by = words.num_bits, self.exponent, self.threshold
            found[compared] = inverted.similarities(words.words, words.codes, *by)
            found[given[len(given) if everything else self.num_verified :]] = 0
            rows = np.append(given, np.setdiff1d(sources.findable(q), given)) if everything else given
            rows = rows[np.argsort(-found[rows], kind="stable")[: len(given)]]
            ranked[q, : len(rows)], scores[q, : len(rows)] = rows, found[rows]
        return Retrieval(ranking.query_names, ranking.reference_names, ranked, scores)

    def _check(self) -> None:
        """InputError for trained weights of another kind than local features, and for those that are missing."""
        (path,) = self.files()
        settings = self.how.network()[0].settings
        if settings.pooling == "gem" or settings.dim > MAX_BITS:
            raise InputError(
                f"asmk compares local features of at most {MAX_BITS} values, but {path} has pooling "
                f"{settings.pooling} and dim {settings.dim}: give other weights as {SETTING}.weights"
            )


def _inverted(names: Sequence[str], words: Mapping[str, VisualWords]) -> InvertedFile:
    """Of the references of these names; a map that keeps the words of just these has it already."""
    if isinstance(words, KeptWords) and tuple(names) == words.names:
        return words.inverted
    return inverted_file(words[name] for name in names)
