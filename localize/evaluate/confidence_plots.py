"""Pictures of how honest confidences and standard deviations are."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from localize.evaluate.confidence import Judged, Reliability, expected_share, normalised_errors, risk_coverage
from localize.io.files import writing

COLUMNS = 3  # of small pictures side by side
LONGEST = 6.0  # standard deviations that are shown


def plot_reliability(path: pathlib.Path, found: Mapping[str, Reliability]) -> None:
    """One diagram per condition: share of right poses against mean confidence; on the diagonal all is honest."""
    figure, panels = _panels(len(found))
    for axes, (condition, bins) in zip(panels, found.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.plot(bins.confidence, bins.right, marker="o", markersize=4)
        axes.set_title(f"{condition}: error {bins.calibration_error:.3f} ({bins.number.sum()} poses)", fontsize=9)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="confidence", ylabel="share of right poses")
        axes.grid(alpha=0.3)
    _save(figure, path)


def plot_risk_coverage(path: pathlib.Path, conditions: Mapping[str, Judged], counted: Mapping[str, tuple]) -> None:
    """Share of wrong poses among the accepted, against the share of queries that are accepted; one line per condition.

    counted: (coverage, risk) of the rule by inliers, a cross of the same colour.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for condition, judged in conditions.items():
        posed = judged.posed
        (line,) = axes.plot(*risk_coverage(posed.confidence, posed.right, len(judged)), label=condition)
        if condition in counted:
            axes.plot(*counted[condition], marker="x", color=line.get_color(), linestyle="none")
    axes.plot([], [], marker="x", color="grey", linestyle="none", label="by number of inliers")
    axes.set(xlim=(0, 1), xlabel="coverage: accepted share of the queries", ylabel="risk: wrong share of the accepted")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def plot_errors(path: pathlib.Path, conditions: Mapping[str, Judged]) -> None:
    """Share of right poses whose error is within so many standard deviations, beside what chi-square asks for."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = np.linspace(0, LONGEST, 200)
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("position", "orientation"), strict=True):
        for degrees, style in ((3, "-"), (1, ":")):
            label = f"chi-square, {degrees} degree{'s' * (degrees > 1)} of freedom"
            axes.plot(ratios, expected_share(ratios, degrees), style, color="grey", label=label)
        for condition, judged in conditions.items():
            errors = normalised_errors(judged)[name]
            if len(errors):
                axes.step(errors, np.arange(1, len(errors) + 1) / len(errors), where="post", label=condition)
        axes.set(xlim=(0, LONGEST), ylim=(0, 1), xlabel="error / standard deviation", title=name)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.axes[0].set_ylabel("share of the right poses")
    _save(figure, path)


def _panels(number: int):
    """A figure of so many small pictures."""
    columns = min(COLUMNS, max(1, number))
    rows = -(-max(1, number) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.2 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[number:]:
        axes.set_axis_off()
    return figure, panels[:number]


def _save(figure: Figure, path: pathlib.Path) -> None:
    with writing(path):
        figure.savefig(path, dpi=120)
