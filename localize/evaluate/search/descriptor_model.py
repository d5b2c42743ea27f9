"""Descriptors of 3D points and of their observations, drawn from a stated model: a map of any size with known answers.

Directions are Gaussian with standard deviations (1 + d / 16)^-0.75 in a random orthonormal basis (a decaying spectrum).
A point is its cluster's direction plus its own (shares CLUSTER and 1 - CLUSTER of the power); cluster sizes are
log-normal. A share of the points, the near-duplicates of repeated texture, lie at cosine 0.9 to another point.
An observation is its point plus noise: every dimension has its own reliability, the same for all points (standard
deviations from 0.5 to 1.5 of the mean), and every point its own noise power, such that the cosine between two of its
observations is uniform in 0.8..0.95. A point has 2 + Poisson(2.5) observations. Easy queries are fresh observations;
hard ones (night) have 5 to 10 times the noise power; of 0.2 million means the nearest one is the true point for 99.95 %
of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.types import InputError

CHUNK = 50_000  # points drawn at a time, each chunk from a seed of its own
CLUSTER = 0.35  # share of a cluster in the power of its points
POINTS, QUERIES, COUNTS = 1, 2, 3  # what a seed is for


@dataclass(frozen=True, eq=False)
class PointChunk:
    """Some points in a row, and what was seen of them, in random order."""

    first: int  # point of the first mean
    means: np.ndarray  # (P, D) float32, normalised mean of a point's observations
    descriptors: np.ndarray  # (M, D) float32, unit length
    point: np.ndarray  # (M,) int32


@dataclass(frozen=True)
class DescriptorModel:
    """The same points for the same fields, whatever is asked of them first."""

    num_points: int = 200_000
    dim: int = 256
    num_clusters: int = 20_000
    duplicates: float = 0.05  # share of the points that copy another one
    max_observations: int | None = None  # of a point; None: as many as are drawn
    seed: int = 0

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self, positive=("num_points", "dim", "num_clusters"), shares=("duplicates",))
        if self.max_observations is not None and self.max_observations < 2:
            raise InputError(f"DescriptorModel.max_observations is {self.max_observations}, but must be at least 2")

    @property
    def num_observations(self) -> int:
        """Of all points together."""
        return sum(int(self._counts(first).sum()) for first in range(0, self.num_points, CHUNK))

    def _counts(self, first: int) -> np.ndarray:
        """Number of observations of each point of a chunk, (P,) int64."""
        rng = np.random.default_rng([self.seed, COUNTS, first])
        counts = 2 + rng.poisson(2.5, min(CHUNK, self.num_points - first))
        return counts if self.max_observations is None else np.minimum(counts, self.max_observations)

    def chunks(self) -> Iterator[PointChunk]:
        """All points with all their observations."""
        world = _World(self)
        for first in range(0, self.num_points, CHUNK):
            base, sigma, rng = world.points(first)
            count = self._counts(first)
            owner = np.repeat(np.arange(len(base)), count)
            descriptors = world.observe(base[owner], sigma[owner], rng)
            means = np.add.reduceat(descriptors, np.cumsum(count) - count)
            order = rng.permutation(len(owner))
            point = (first + owner[order]).astype(np.int32)
            yield PointChunk(first, _normalised(means), descriptors[order], point)

    def queries(self, number: int, hard: bool) -> tuple[np.ndarray, np.ndarray]:
        """Descriptors (Q, D) float32 of new observations, and their points (Q,) int32, each another one."""
        rng = np.random.default_rng([self.seed, QUERIES, int(hard)])
        truth = np.sort(rng.choice(self.num_points, min(number, self.num_points), replace=False))
        world = _World(self)
        found = []
        for first in np.unique(truth // CHUNK) * CHUNK:
            here = truth[(truth >= first) & (truth < first + CHUNK)] - first
            base, sigma, _ = world.points(int(first))
            power = rng.uniform(5, 10, len(here)) if hard else np.ones(len(here))
            found.append(world.observe(base[here], np.sqrt(power).astype(np.float32) * sigma[here], rng))
        order = rng.permutation(len(truth))
        return np.concatenate(found)[order], truth[order].astype(np.int32)


class _World:
    """What all points share."""

    def __init__(self, model: DescriptorModel):
        rng = np.random.default_rng([model.seed])
        deviations = (1 + np.arange(model.dim) / 16) ** -0.75
        basis = np.linalg.qr(rng.normal(size=(model.dim, model.dim)))[0]
        self.model = model
        self.basis = (deviations[:, None] / np.linalg.norm(deviations) * basis).astype(np.float32)
        self.clusters = self.directions(rng, model.num_clusters)
        size = rng.lognormal(size=model.num_clusters)
        self.cumulated = np.cumsum(size / size.sum())
        reliability = rng.uniform(0.5, 1.5, model.dim)
        self.deviations = (reliability / np.linalg.norm(reliability)).astype(np.float32)

    def directions(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """Random vectors (N, D) float32 of mean square length 1 with the spectrum."""
        return rng.standard_normal((number, self.model.dim), np.float32) @ self.basis

    def observe(self, base: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Unit descriptors (N, D) float32 of points with noise of standard length sigma (N,)."""
        noise = rng.standard_normal(base.shape, np.float32) * self.deviations
        return _normalised(base + sigma[:, None] * noise)

    def points(self, first: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
        """Unit vectors (P, D) and noise lengths (P,) of a chunk, and the generator to go on with."""
        rng = np.random.default_rng([self.model.seed, POINTS, first])
        number = min(CHUNK, self.model.num_points - first)
        cluster = np.minimum(np.searchsorted(self.cumulated, rng.random(number)), self.model.num_clusters - 1)
        base = np.sqrt(np.float32(CLUSTER)) * self.clusters[cluster]
        base = _normalised(base + np.sqrt(np.float32(1 - CLUSTER)) * self.directions(rng, number))
        copies = rng.random(number) < self.model.duplicates
        originals = np.flatnonzero(~copies)
        if len(originals):
            chosen = base[rng.choice(originals, np.count_nonzero(copies))]
            shift = rng.standard_normal(chosen.shape, np.float32) / np.sqrt(np.float32(self.model.dim))
            base[copies] = _normalised(chosen + np.sqrt(np.float32(1 / 0.9**2 - 1)) * shift)
        cosine = rng.uniform(0.8, 0.95, number)
        return base, np.sqrt(1 / cosine - 1).astype(np.float32), rng


def _normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
