"""How good the bits of a binary descriptor are: balanced, stable, independent."""

import pathlib
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class BitStatistics:
    """Of K bits: 0.5, 0 and 0 would be perfect."""

    ones: np.ndarray  # (K,) share of descriptors whose bit is 1
    flips: np.ndarray  # (K,) share of matching pairs in which the bit differs
    correlations: np.ndarray  # (K (K - 1) / 2,) absolute correlation of every two bits; 0 for a bit that never changes

    @property
    def flip_rate(self) -> float:
        """Mean over the bits."""
        return float(self.flips.mean())

    @property
    def correlation(self) -> float:
        """Mean over all two different bits."""
        return float(self.correlations.mean()) if len(self.correlations) else 0.0


def bit_statistics(codes: np.ndarray, points: np.ndarray) -> BitStatistics:
    """Statistics of codes (N, K) bool whose rows show the points (N,); matching pairs: any two rows of one point.

    ValueError if no point has two rows.
    """
    if codes.dtype != bool or codes.shape != (len(points), codes.shape[-1]):
        raise ValueError(f"codes are {codes.dtype} {codes.shape}, but expected bool ({len(points)}, K)")
    _, which, count = np.unique(points, return_inverse=True, return_counts=True)
    num_pairs = (count * (count - 1) // 2).sum()
    if not num_pairs:
        raise ValueError("no point has two descriptors, so no bit can flip")
    start = np.cumsum(count) - count
    ones = np.add.reduceat(codes[np.argsort(which, kind="stable")], start, axis=0, dtype=np.int64)
    differing = (ones * (count[:, None] - ones)).sum(0)  # of a point: every one with every zero
    return BitStatistics(codes.mean(0), differing / num_pairs, _correlations(codes))


def _correlations(codes: np.ndarray) -> np.ndarray:
    centred = codes.astype(np.float32) - codes.mean(0, dtype=np.float64).astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(codes)
    spread = np.sqrt(np.diag(covariance))
    both = np.outer(spread, spread)
    constant = codes.all(0) | ~codes.any(0)
    both[constant], both[:, constant] = np.inf, np.inf
    return np.abs(covariance / both)[np.triu_indices(len(spread), 1)]


def plot_bits(path: str | pathlib.Path, statistics: dict[str, BitStatistics]) -> None:
    """Write a picture: the shares of ones, the flip rates and the correlations of each named descriptor."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for name, found in statistics.items():
        axes[0].hist(found.ones, np.linspace(0, 1, 41), histtype="step", label=f"{name}: mean {found.ones.mean():.2f}")
        axes[1].plot(np.sort(found.flips), label=f"{name}: mean {found.flip_rate:.3f}")
        bins = np.linspace(0, max(0.05, *(s.correlations.max(initial=0) for s in statistics.values())), 41)
        axes[2].hist(found.correlations, bins, histtype="step", label=f"{name}: mean {found.correlation:.3f}")
    texts = (
        ("share of ones", "bits"),
        ("bit, the most stable one first", "share of matching pairs in which it flips"),
        ("absolute correlation of two bits", "pairs of bits"),
    )
    for ax, (below, beside) in zip(axes, texts, strict=True):
        ax.set_xlabel(below)
        ax.set_ylabel(beside)
        ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
        ax.legend(fontsize="small", loc="upper right")
    figure.savefig(path, dpi=120)
