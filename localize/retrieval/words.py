"""Visual words: local descriptors in groups, and VLAD, what their residuals add up to.

VLAD: Jegou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010;
intra-normalisation from Arandjelovic & Zisserman, "All about VLAD", CVPR 2013.
"""

import faiss
import numpy as np


def learned_words(sample: np.ndarray, number: int, *, iterations: int, seed: int) -> np.ndarray:
    """Centres (K, D) float32 of k-means on descriptors (N, D); with at most so many, the descriptors themselves."""
    if len(sample) <= number:
        return sample
    options = {"niter": iterations, "seed": seed, "min_points_per_centroid": 1}
    kmeans = faiss.Kmeans(sample.shape[1], number, max_points_per_centroid=len(sample), **options)
    kmeans.train(sample)
    return kmeans.centroids.copy()


def vlad(descriptors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """(K * D,) float32 of unit length: residuals of descriptors (N, D) to centres (K, D), summed by the nearest one,
    each sum normalised, then the whole; zeros if there are no descriptors."""
    found = np.zeros(centers.shape, np.float32)
    if len(descriptors) and len(centers):
        words = np.argmax(descriptors @ centers.T - 0.5 * (centers**2).sum(1), axis=1)
        np.add.at(found, words, descriptors - centers[words])
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return (found / max(np.linalg.norm(found), 1e-12)).ravel()
