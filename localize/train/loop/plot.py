"""training.png: how a training went, at a glance."""

import pathlib

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from localize.io.files import writing
from localize.train.loop.curve import TrainingCurve

LAST_DECADE = 0.1  # percent; below, the scale is linear
SHOWN = 200  # points of a line; each is a mean
NOT_TERMS = ("step", "learning_rate", "seconds", "matches", "visual_words")


def plot_training(path: pathlib.Path, curve: TrainingCurve, measures: dict[str, str], axis: str) -> None:
    """Write the loss terms and, below them, what validation measured (label by column) against the steps.

    axis: what the measures were taken on; if they are error rates, small ones are spread out.
    """
    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, sharex=True)
    for name in curve.rows[0]:
        if name not in (*NOT_TERMS, *measures):
            above.plot(*_smooth(*curve.column(name)), label=name)
    for name, label in measures.items():
        below.plot(*curve.column(name), marker="o", markersize=3, label=label)
    above.set_ylabel("loss terms")
    below.set(ylabel=axis, xlabel="steps")
    top = max(max(curve.column(name)[1], default=0) for name in measures)
    if any("FPR95" in label for label in measures.values()) and top > 10 * LAST_DECADE:
        below.set_yscale("symlog", linthresh=LAST_DECADE)  # a log scale that has a place for 0
    below.set_ylim(0, 1.1 * max(top, LAST_DECADE))
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend()
    with writing(path):
        figure.savefig(path, dpi=120)


def _smooth(steps: list[int], values: list[float]) -> tuple[list[float], list[float]]:
    """Means of SHOWN stretches of equal length."""
    size = -(-len(steps) // SHOWN)
    stretches = [slice(i, i + size) for i in range(0, len(steps), size)]
    return tuple([sum(v[s]) / len(v[s]) for s in stretches] for v in (steps, values))
