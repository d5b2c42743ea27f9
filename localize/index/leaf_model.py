"""Probability of a leaf under the Gaussian model of descriptor change, and the paper's cheaper ordering."""

import numpy as np
from scipy.special import log_ndtr

from localize.index.bits import Coding

MIN_SIGMA = 1e-6
READ = 50_000  # rows at a time


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
    rng, bits, rows = np.random.default_rng(seed), [], []
    for bit in rng.choice(tested_bits, num_tests):
        p = rng.integers(len(start), size=num_samples)
        i = rng.integers(count[p])
        j = (i + 1 + rng.integers(count[p] - 1)) % count[p]
        bits.append(bit)
        rows.append([order[start[p] + k] for k in (i, j)])
    one, other = _values(descriptors, coding, np.array(rows), np.array(bits)).transpose(1, 0, 2)
    delta = other - one
    return float(np.mean(delta.mean(1))), max(MIN_SIGMA, float(np.mean(delta.std(1))))


def _values(descriptors: np.ndarray, coding: Coding, rows: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """(T, 2, N) float64 of the tested value bits[t] (T,) of rows (T, 2, N), which are read in their order in the file.

    A city's rows do not fit into memory: in any other order each value would be read from the disk, with all around it.
    """
    bit = np.broadcast_to(bits[:, None, None], rows.shape).ravel()
    found, in_file = np.empty(rows.size), np.argsort(rows, axis=None, kind="stable")
    for part in np.array_split(in_file, max(1, len(in_file) // READ)):
        own, value = rows.ravel()[part], bit[part]
        if not coding.rotation.size:
            found[part] = descriptors[own, value]
            continue
        read = descriptors[own]
        for b in np.unique(value):
            found[part[value == b]] = coding.columns(read[value == b], [b])[:, 0]
    return found.reshape(rows.shape)


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
