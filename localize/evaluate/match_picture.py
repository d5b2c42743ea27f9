"""A picture of two photos and of the regions that they have in common, as figure 1 of deep spatial matching's paper."""

import colorsys
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from localize.io.files import writing
from localize.types import Regions

HEIGHT_IN, DPI = 4.5, 150
GAP = 0.02  # between the photos, of their height
OUTLINE = 2.0  # standard deviations; a region that is an evenly filled ellipse ends there
HALO = [withStroke(linewidth=3.2, foreground=(0, 0, 0, 0.5))]  # bright colours show on bright photos too
CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 41)) for f in (np.cos, np.sin)])
TURN = 0.618034  # of the hue from one channel to the next: neighbours are unlike


def draw_match(
    path: pathlib.Path,
    photos: Sequence[np.ndarray],
    regions: Sequence[Regions],
    pairs: np.ndarray,
    levels: Sequence[int],
    title: str,
) -> None:
    """Both photos (H, W, 3) uint8 side by side, as high as each other; inliers as ellipses in the colour of their
    channel, joined by lines; the other regions of these levels in grey.

    pairs: (M, 2) rows of the two photos' regions; levels: of the two photos, shown in grey.
    """
    figure, axes, left, widths = side_by_side(photos, title)
    channels = regions[0].channels[pairs[:, 0]]
    by_channel = {channel: _colour(i) for i, channel in enumerate(np.unique(channels))}
    colours, ends = [by_channel[channel] for channel in channels], []
    for k, of in enumerate(regions):
        others = np.setdiff1d(np.flatnonzero(of.levels == levels[k]), pairs[:, k])
        _draw(axes, of, others, left[k], widths[k], colors=[(1, 1, 1, 0.35)], linewidths=0.4)
        ends.append(_draw(axes, of, pairs[:, k], left[k], widths[k], colors=colours, linewidths=1.6, path_effects=HALO))
    lines = np.stack(ends, axis=1)  # (M, 2, 2)
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.7, alpha=0.8))
    save_picture(path, figure)


def side_by_side(photos: Sequence[np.ndarray], title: str) -> tuple[Figure, Axes, list[float], list[float]]:
    """(figure, axes, left edges, widths) of photos (H, W, 3) uint8 beside each other, each of height 1."""
    widths = [photo.shape[1] / photo.shape[0] for photo in photos]
    left = [sum(widths[:k]) + k * GAP for k in range(len(photos))]
    whole = left[-1] + widths[-1]
    figure = Figure(figsize=(HEIGHT_IN * whole, HEIGHT_IN * 1.08))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1 / 1.08))
    for k, photo in enumerate(photos):
        axes.imshow(photo, extent=(left[k], left[k] + widths[k], 1, 0), interpolation="antialiased")
    axes.set(xlim=(0, whole), ylim=(1, 0))
    axes.set_axis_off()
    figure.text(0.5, 1 - 0.5 * (1 - 1 / 1.08), title, ha="center", va="center", fontsize=10)
    return figure, axes, left, widths


def save_picture(path: pathlib.Path, figure: Figure) -> None:
    """Write a figure as PNG."""
    with writing(path):
        figure.savefig(path, dpi=DPI, format="png")


def _draw(axes, regions: Regions, rows: np.ndarray, left: float, width: float, colors, **look) -> np.ndarray:
    """Ellipses of some regions of a photo that is `width` wide and 1 high; their centres (N, 2)."""
    cells = regions.sizes[regions.levels[rows]].astype(np.float64)  # (N, 2), height and width
    across, down = width / cells[:, 1], 1 / cells[:, 0]
    centers = regions.centers[rows] * np.stack([across, down], axis=1) + (left, 0)
    xx, xy, yy = regions.covariances[rows].astype(np.float64).T
    xx, xy, yy = xx * across**2, xy * across * down, yy * down**2
    x = np.sqrt(xx)[:, None] * CIRCLE[0]
    y = (xy / np.sqrt(xx))[:, None] * CIRCLE[0] + np.sqrt(yy - xy**2 / xx)[:, None] * CIRCLE[1]
    outlines = centers[:, None] + OUTLINE * np.stack([x, y], axis=2)
    drawn = LineCollection(outlines, colors=colors, **look)
    axes.add_collection(drawn)
    drawn.set_clip_path(Rectangle((left, 0), width, 1, transform=axes.transData))  # on its own photo
    return centers


def _colour(i: int) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb(i * TURN % 1, 0.85, 1.0)
