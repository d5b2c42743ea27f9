"""VLAD: aggregation of the scene's own local descriptors; needs no download and no training data but the map.

Jegou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010;
intra-normalisation from Arandjelovic & Zisserman, "All about VLAD", CVPR 2013.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component
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
        if len(sample) <= self.num_words:
            return Codebook(sample)
        kmeans = faiss.Kmeans(
            sample.shape[1],
            self.num_words,
            niter=self.iterations,
            seed=self.seed,
            min_points_per_centroid=1,
            max_points_per_centroid=len(sample),
        )
        kmeans.train(sample)
        return Codebook(kmeans.centroids.copy())

    def describe(self, source: Features, learned: Codebook) -> np.ndarray:
        """(K * D,) float32, unit length; all zeros if the photo has no features."""
        centers = np.asarray(learned.centers, np.float32)
        descriptors = _described(source).astype(np.float32)
        vlad = np.zeros(centers.shape, np.float32)
        if len(descriptors) and len(centers):
            words = np.argmax(descriptors @ centers.T - 0.5 * (centers**2).sum(1), axis=1)
            np.add.at(vlad, words, descriptors - centers[words])
        vlad /= np.maximum(np.linalg.norm(vlad, axis=1, keepdims=True), 1e-12)
        return (vlad / max(np.linalg.norm(vlad), 1e-12)).ravel()


def _described(features: Features) -> np.ndarray:
    """The descriptors but for rows of zeros, given keypoints at which nothing could be described."""
    return features.descriptors[features.descriptors.any(1)]
