"""Indexes of vectors by faiss: how they are trained on a sample, filled some vectors at a time, and opened once."""

import weakref
from collections.abc import Callable

import faiss
import numpy as np

LEAST_PER_LIST = 39  # vectors to train on that faiss wants for each cluster

_opened: "weakref.WeakKeyDictionary" = weakref.WeakKeyDictionary()  # the same map is asked by query after query


def opened_once(built, read: Callable[..., faiss.Index]) -> faiss.Index:
    """What `read` makes of a stored record when it is first asked for; it lives as long as the record does."""
    if built not in _opened:
        _opened[built] = read(built)
    return _opened[built]


def sample(vectors: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Up to `number` random rows (N, D) float32 to train on."""
    rows = np.arange(len(vectors))
    if number < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), number, replace=False))
    return np.ascontiguousarray(vectors[rows], np.float32)


def fill(index: faiss.Index, vectors: np.ndarray, at_once: int) -> None:
    """Add all vectors (N, D), so many at a time; a graph depends on how many."""
    for at in range(0, len(vectors), at_once):
        index.add(np.ascontiguousarray(vectors[at : at + at_once], np.float32))


def empty_index(vectors: np.ndarray, name: str) -> faiss.Index:
    """An index for the vectors' dot products, by faiss's name for it."""
    return faiss.index_factory(vectors.shape[1], name, faiss.METRIC_INNER_PRODUCT)


def trained_graph(
    vectors: np.ndarray, code: str, num_links: int, ef_construction: int, num_sampled: int, seed: int
) -> faiss.Index:
    """A graph without any vector yet, which will keep them in a code by faiss's name."""
    index = empty_index(vectors, f"HNSW{num_links},{code}")
    index.hnsw.efConstruction = ef_construction
    if not index.is_trained:
        index.train(sample(vectors, num_sampled, seed))
    return index


def num_inverted_lists(asked: int | None, roots: int, number: int) -> int:
    """The number asked for, or `roots` times the square root of the number of vectors; at least 39 vectors a list."""
    return max(1, min(asked or round(roots * number**0.5), number // LEAST_PER_LIST))


def set_clustering(clustering: faiss.ClusteringParameters, iterations: int, seed: int, most: int) -> None:
    """How k-means finds its clusters; it looks at no more than `most` vectors for each, and does not warn of few."""
    clustering.niter, clustering.seed = iterations, seed
    clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, most
