"""What learned smoothing makes of photos, as pictures beside them."""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from localize.io.files import writing

HEIGHT_IN, DPI = 2.0, 150
ROOM = 1.2  # width of a map with its scale, of the photo's width


def draw_context(path: pathlib.Path, photos: Sequence[np.ndarray], maps: Sequence[dict[str, np.ndarray]]) -> None:
    """A row for each photo (H, W, 3) uint8: the photo, then its maps (h, w) by their names, each with its own scale."""
    names = list(maps[0])
    widest = max(photo.shape[1] / photo.shape[0] for photo in photos)
    size = HEIGHT_IN * widest * (1 + ROOM * len(names)), HEIGHT_IN * len(photos)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    table = figure.subplots(len(photos), 1 + len(names), squeeze=False, width_ratios=[1] + [ROOM] * len(names))
    for axes, photo, of in zip(table, photos, maps, strict=True):
        axes[0].imshow(photo, interpolation="antialiased")
        for place, (name, values) in zip(axes[1:], of.items(), strict=True):
            shown = place.imshow(values, cmap="viridis", interpolation="nearest")
            place.set_title(name, fontsize=9)
            scale = figure.colorbar(shown, ax=place)
            scale.formatter.set_useOffset(False)  # of a map that hardly varies it would take a column of its own
            scale.ax.tick_params(labelsize=7)
        for place in axes:
            place.set_axis_off()
    with writing(path):
        figure.savefig(path, dpi=DPI, format="png")
