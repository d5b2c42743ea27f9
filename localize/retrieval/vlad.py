"""VLAD: aggregation of the scene's own local descriptors; needs no download and no training data but the map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.retrieval.words import learned_words, vlad
from localize.types import Features


@dataclass(frozen=True, eq=False)
class Codebook:
    """Visual words, (K, D) float32."""

    centers: np.ndarray


@dataclass(frozen=True)
class Vlad:
    """Residuals to K visual words, summed per word, each word normalised, then the whole; K x D dimensions."""

    num_words: int = 64
    num_samples: int = 100_000  # descriptors k-means sees, drawn evenly from the references
    iterations: int = 25  # of k-means
    seed: int = 0

    VERSION: ClassVar[int] = 2
    LIBRARIES: ClassVar[tuple] = ("faiss",)
    needs: ClassVar[str] = "features"

    def __post_init__(self):
        check_component(self, positive=("num_words", "num_samples", "iterations"))

    def fit(self, features: Sequence[Features]) -> Codebook:
        """k-means on the references' descriptors; with fewer descriptors than words, the descriptors themselves."""
        rng = np.random.default_rng(self.seed)
        share = -(-self.num_samples // max(1, len(features)))
        parts = []
        for f in features:
            described = _described(f)
            rows = np.sort(rng.permutation(len(described))[:share])
            parts.append(described[rows].astype(np.float32))
        sample = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
        return Codebook(learned_words(sample, self.num_words, iterations=self.iterations, seed=self.seed))

    def describe(self, source: Features, learned: Codebook) -> np.ndarray:
        """(K * D,) float32, unit length; all zeros if the photo has no features."""
        return vlad(_described(source).astype(np.float32), np.asarray(learned.centers, np.float32))


def _described(features: Features) -> np.ndarray:
    """The descriptors but for rows of zeros, given keypoints at which nothing could be described."""
    return features.descriptors[features.descriptors.any(1)]
