"""The tasks of HPatches as bars: a panel for verification, matching and retrieval, as its authors plot them."""

import pathlib

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PANELS = ("verification", "matching", "retrieval")
NOISES = {"easy": "tab:green", "hard": "tab:orange", "tough": "tab:red"}


def task_means(columns: dict[str, dict[str, float]], panel: str) -> dict[str, dict[str, float]]:
    """Percent by noise, of each descriptor: the mean of the tasks of a panel; verification is the imbalanced one."""
    means = {}
    for name, tasks in columns.items():
        own = {t: v for t, v in tasks.items() if t.startswith(panel) and ", balanced" not in t}
        means[name] = {noise: float(np.mean([v for t, v in own.items() if t.endswith(noise)])) for noise in NOISES}
    return means


def plot_tasks(path: str | pathlib.Path, columns: dict[str, dict[str, float]]) -> None:
    """Write the picture of columns, percent by task as `evaluate_hpatches` gives it, by the descriptor's name.

    A bar is the mean over easy, hard and tough, which stand on it as marks.
    """
    figure = Figure(figsize=(13, 1.2 + 0.4 * len(columns)), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, panel in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        means = task_means(columns, panel)
        heights = [float(np.mean(list(m.values()))) for m in means.values()]
        bars = axis.barh(list(means), heights, color="lightsteelblue")
        axis.bar_label(bars, fmt="%.1f", label_type="center")
        for noise, color in NOISES.items():
            axis.plot([m[noise] for m in means.values()], list(means), "|", ms=14, mew=2, color=color, label=noise)
        axis.set_xlim(0, 100)
        axis.set_xlabel(f"{panel}: mean average precision (%)")
        axis.invert_yaxis()
    axis.legend(fontsize="small", loc="lower right")
    figure.savefig(path, dpi=120)
