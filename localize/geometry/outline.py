"""The outline of a component of cells, as a polygon."""

import numpy as np

STEPS = (1, 0), (0, 1), (-1, 0), (0, -1)  # right, down, left, up; the next one is a turn to the right
_RIGHT = (0, 0), (0, -1), (-1, -1), (-1, 0)  # row and column of the cell to the right of a step, from its corner
_LEFT = (-1, 0), (0, 0), (0, -1), (-1, -1)


def outline(cells: np.ndarray) -> np.ndarray:
    """(P, 2) int64 corners x, y of the outer contour of 4-connected cells (h, w) bool, clockwise as seen; holes filled.

    Cell (i, j) has the corners (j, i) and (j + 1, i + 1). Only corners at which the contour turns are given. Where two
    cells touch at a corner alone, the contour passes that corner twice and does not cross itself.
    """
    if not cells.any():
        raise ValueError("there is no cell to outline")
    padded = np.pad(cells, 1)
    y, x = divmod(int(np.argmax(cells)), cells.shape[1])  # the upper left corner of the first cell

    def goes(step: int) -> bool:
        """Whether the contour leads from (x, y) this way: there is a cell to the right of it and none to the left."""
        (right, left) = ((y + 1 + row, x + 1 + column) for row, column in (_RIGHT[step], _LEFT[step]))
        return bool(padded[right] and not padded[left])

    corners, step = [(x, y)], 0
    while True:
        x, y = x + STEPS[step][0], y + STEPS[step][1]
        turned = next(turn % 4 for turn in (step + 1, step, step + 3) if goes(turn % 4))  # it stays with its cell
        if (x, y) == corners[0] and turned == 0:
            return np.array(corners)
        if turned != step:
            corners.append((x, y))
        step = turned
