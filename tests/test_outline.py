"""The outline of cells: by hand, and against the cells that a polygon holds by the even-odd rule."""

import matplotlib.path
import numpy as np
import pytest
import scipy.ndimage

from localize.geometry.outline import outline


def inside(polygon, shape) -> np.ndarray:
    """Which cells' centres lie in the polygon."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return matplotlib.path.Path(polygon).contains_points(np.stack([columns.ravel(), rows.ravel()], 1)).reshape(shape)


def test_by_hand():
    cells = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert outline(cells).tolist() == [[1, 0], [3, 0], [3, 1], [2, 1], [2, 2], [1, 2]]
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert outline(ring).tolist() == [[0, 0], [3, 0], [3, 3], [0, 3]]  # the hole is filled
    pinched = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1]], bool)  # (1, 0) and (2, 1) meet at a corner alone
    assert outline(pinched).tolist().count([1, 2]) == 2
    with pytest.raises(ValueError, match="no cell"):
        outline(np.zeros((2, 2), bool))


def test_it_holds_the_component_and_its_holes():
    rng = np.random.default_rng(0)
    for _ in range(200):
        labels, count = scipy.ndimage.label(rng.random((12, 9)) < rng.uniform(0.3, 0.8))
        component = labels == rng.integers(1, count + 1)
        filled = scipy.ndimage.binary_fill_holes(component, np.ones((3, 3)))
        polygon = outline(component)
        assert np.array_equal(inside(polygon, component.shape), filled)
        turns = np.diff(np.vstack([polygon, polygon[:1]]), axis=0)
        assert ((turns == 0).sum(1) == 1).all()  # along one axis each
