"""Probability of a leaf under the Gaussian model of descriptor change, and the paper's cheaper ordering."""

import numpy as np
from scipy.special import log_ndtr

from localize.index.bits import Coding

MIN_SIGMA = 1e-6


def estimate_gaussian(
    descriptors: np.ndarray,
    coding: Coding,
    point: np.ndarray,
    tested_bits: np.ndarray,
    *,
    num_tests=10,
    num_samples=100_000,
    seed=0,
) -> tuple[float, float]:
    """Mean and standard deviation of the change of one tested value between two observations of one point.

    descriptors (M, D); point (M,); tested_bits: the bit of every inner node of every tree. `num_tests` of these are
    drawn, for each `num_samples` ordered pairs of distinct observations of a random point; the means over the tests
    are returned. Without a point seen twice: mean 0 and the smallest sigma.
    """
    order = np.argsort(point, kind="stable")
    _, start, count = np.unique(point[order], return_index=True, return_counts=True)
    start, count = start[count >= 2], count[count >= 2]
    if not len(start) or not len(tested_bits):
        return 0.0, MIN_SIGMA
    rng = np.random.default_rng(seed)
    means, sigmas = [], []
    for bit in rng.choice(tested_bits, num_tests):
        p = rng.integers(len(start), size=num_samples)
        i = rng.integers(count[p])
        j = (i + 1 + rng.integers(count[p] - 1)) % count[p]
        one, other = (_values(descriptors, coding, order[start[p] + k], bit) for k in (i, j))
        delta = other - one
        means.append(delta.mean())
        sigmas.append(delta.std())
    return float(np.mean(means)), max(MIN_SIGMA, float(np.mean(sigmas)))


def _values(descriptors: np.ndarray, coding: Coding, rows: np.ndarray, bit: int) -> np.ndarray:
    """(N,) float64 of one tested value of some rows; a city's rows are not read whole."""
    if not coding.rotation.size:
        return descriptors[rows, bit].astype(np.float64)
    return coding.columns(descriptors[rows], [bit])[:, 0].astype(np.float64)


def branch_costs(
    descriptors: np.ndarray, thresholds: np.ndarray, order: str, mean: float, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Cost (Q, D) float32 of going to the 0 and to the 1 side of a test on each dimension; smaller is more probable.

    gaussian: -log of the probability that the true neighbour's bit is 0 / 1, P(1) = Phi((q + mean - threshold) / sigma)
    (parallel search paper, eq. 5-6: RT_AP). abs_value: following the query's own bit is free, leaving it costs
    |q - threshold| (its ablation RT).
    """
    value = descriptors.astype(np.float32) - thresholds
    if order == "gaussian":
        z = (value.astype(np.float64) + mean) / sigma
        return -log_ndtr(-z).astype(np.float32), -log_ndtr(z).astype(np.float32)
    return np.maximum(value, 0), np.maximum(-value, 0)
