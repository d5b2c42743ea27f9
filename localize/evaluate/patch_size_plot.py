"""The picture of registered queries against the size of the patches."""

import pathlib

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from localize.evaluate.grids import Grid
from localize.io.files import writing


def plot_patch_sizes(folder: pathlib.Path, grid: Grid) -> None:
    """Write fig6.png and fig6.svg of a table: coefficient, keypoints, queries, localized, then recalls in percent."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    columns = list(zip(*grid.rows, strict=True))
    coefficients = [float(c) for c in columns[0]]
    counts, recalls = figure.subplots(1, 2)
    counts.plot(coefficients, columns[3], marker="o")
    counts.set(ylabel=f"localized queries of {max(columns[2])}")
    counts.yaxis.set_major_locator(MaxNLocator(integer=True))
    for name, values in zip(grid.header[4:], columns[4:], strict=True):
        recalls.plot(coefficients, values, marker="o", label=name.removesuffix(", %"))
    recalls.set(ylabel="queries (%)", ylim=(-2, 102))
    recalls.legend(fontsize="small")
    for axes in (counts, recalls):
        axes.set(xlabel="side of the patch / scale of the keypoint", xticks=coefficients)
        axes.grid(alpha=0.3)
    for suffix in ("png", "svg"):
        path = folder / f"fig6.{suffix}"
        with writing(path):
            figure.savefig(path, dpi=120)
