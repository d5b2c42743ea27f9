"""How many inliers spatial verification finds with right references and with wrong ones: numbers and a picture."""

import pathlib

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from localize.io.files import writing

SHOWN = 0.995  # of each kind's references lie within the picture
BINS = 40  # at most
COLOURS = {"right": "tab:green", "wrong": "tab:red"}


def count_inliers(scores: np.ndarray, right: np.ndarray) -> dict[str, dict]:
    """Of right and of wrong references: their number, mean and median of the inliers, and the histogram.

    scores (N,) of verified pairs, inliers plus less than 1; right (N,) bool. histogram[n]: references of n inliers.
    separation: the share of pairs of a right and a wrong reference in which the right one has the higher score, where
    ties count half; None where one kind is missing.
    """
    inliers = np.floor(scores).astype(np.int64)
    found = {"right": _kind(inliers[right]), "wrong": _kind(inliers[~right])}
    found["separation"] = _separation(scores[right], scores[~right])
    return found


def _kind(inliers: np.ndarray) -> dict:
    known = len(inliers) > 0
    return {
        "references": len(inliers),
        "mean": float(inliers.mean()) if known else None,
        "median": float(np.median(inliers)) if known else None,
        "histogram": np.bincount(inliers).tolist(),
    }


def _separation(right: np.ndarray, wrong: np.ndarray) -> float | None:
    if not len(right) or not len(wrong):
        return None
    wrong = np.sort(wrong)
    below = (np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")) / 2
    return float(below.mean() / len(wrong))


def plot_inliers(path: pathlib.Path, counted: dict[str, dict], title: str) -> None:
    """Both histograms as shares of their kind; what goes beyond the picture counts in its last bin."""
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    last = max(_most(counted[kind]["histogram"]) for kind in COLOURS)
    width = -(-(last + 1) // BINS)
    edges = np.arange(0, last + width + 1, width) - 0.5
    for kind, colour in COLOURS.items():
        of = counted[kind]
        values = np.minimum(np.arange(len(of["histogram"])), edges[-1] - 0.5)
        if of["references"]:
            weights = np.array(of["histogram"]) / of["references"]
            label = f"{kind}: {of['references']} references, mean {of['mean']:.1f}"
            axes.hist(values, edges, weights=weights, color=colour, alpha=0.5, label=label)
    axes.set(xlabel="inliers", ylabel="share of the references", title=title, xlim=edges[[0, -1]])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.3)
    axes.legend()
    with writing(path):
        figure.savefig(path, dpi=120)


def _most(histogram: list[int]) -> int:
    """The number of inliers that the share SHOWN of the references does not exceed."""
    total = np.cumsum(histogram) if histogram else np.zeros(1)
    return int(np.searchsorted(total, SHOWN * total[-1]))
