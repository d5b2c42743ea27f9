"""A picture of an object that was found: the query with its box, and a photo with the box and the outline."""

import pathlib

import numpy as np
from matplotlib.patches import Polygon, Rectangle

from localize.evaluate.match_picture import HALO, save_picture, side_by_side

ASKED, BOX, OUTLINE = "#ffd400", "#00c8ff", "#ff3b30"


def draw_found(
    path: pathlib.Path,
    query: np.ndarray,
    asked: np.ndarray,
    photo: np.ndarray,
    found: tuple[np.ndarray, np.ndarray] | None,
    title: str,
) -> None:
    """Both photos (H, W, 3) uint8 side by side. asked: the box on the query; found: box (4,) and polygon (P, 2) on the
    photo, all in px, or None."""
    figure, axes, left, _ = side_by_side((query, photo), title)
    _draw_box(axes, asked, left[0], 1 / query.shape[0], ASKED)
    if found is not None:
        box, polygon = found
        size = 1 / photo.shape[0]
        look = {"closed": True, "linewidth": 1.8, "edgecolor": OUTLINE, "facecolor": (1, 0.23, 0.19, 0.15)}
        axes.add_patch(Polygon(polygon * size + (left[1], 0), path_effects=HALO, **look))
        _draw_box(axes, box, left[1], size, BOX)
    save_picture(path, figure)


def _draw_box(axes, box: np.ndarray, left: float, size: float, colour: str) -> None:
    """A box of px, each `size` wide, on the photo whose left edge this is."""
    x, y, right, bottom = np.asarray(box) * size
    look = {"fill": False, "linewidth": 1.8, "edgecolor": colour, "path_effects": HALO}
    axes.add_patch(Rectangle((left + x, y), right - x, bottom - y, **look))
