"""Patches at keypoints against a slow twin, and where they must and must not be cut."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from localize.kernels.patches import extract_patches


def slow_patch(photo, x, y, scale, angle, coefficient, side):
    """One patch by the formula: a pyramid of blurred and halved photos, bilinear samples of a turned grid."""
    step = coefficient * scale / side
    level = max(0, int(np.floor(np.log2(step))))
    pixels = photo.astype(float)
    for _ in range(level):
        pixels = gaussian_filter(pixels, 1.0, mode="nearest", truncate=4.0)[::2, ::2]
    v, u = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    u, v = u * coefficient * scale, v * coefficient * scale
    column = x + np.cos(angle) * u - np.sin(angle) * v - 0.5
    row = y + np.sin(angle) * u + np.cos(angle) * v - 0.5
    return map_coordinates(pixels, np.array([row, column]) / 2**level, order=1, mode="nearest")


@pytest.fixture(scope="module")
def photo():
    noise = np.random.default_rng(0).uniform(0, 255, (120, 170))
    return gaussian_filter(noise, 1.0).astype(np.uint8)


def shapes(rng, n, photo, scales=(0.8, 9.0)):
    xy = rng.uniform(0, photo.shape[::-1], (n, 2))
    return xy, np.exp(rng.uniform(*np.log(scales), n)), rng.uniform(-7, 7, n)


@pytest.mark.parametrize(("side", "coefficient"), [(32, 13.0), (64, 20.0)])
@pytest.mark.parametrize("boundary", ["drop", "replicate"])
def test_against_the_slow_twin(photo, side, coefficient, boundary):
    xy, scales, angles = shapes(np.random.default_rng(1), 60, photo)
    patches, rows = extract_patches(photo, xy, scales, angles, coefficient=coefficient, side=side, boundary=boundary)
    assert patches.shape == (len(rows), side, side)
    assert patches.dtype == np.float32
    assert len(rows) == 60 if boundary == "replicate" else 2 < len(rows) < 50
    for patch, row in zip(patches, rows, strict=True):
        slow = slow_patch(photo, *xy[row], scales[row], angles[row], coefficient, side)
        np.testing.assert_allclose(patch, slow, atol=0.02)


def test_a_keypoint_is_dropped_where_a_corner_of_its_square_leaves_the_photo(photo):
    rng = np.random.default_rng(2)
    xy, scales, angles = shapes(rng, 500, photo)
    _, rows = extract_patches(photo, xy, scales, angles)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 6.5
    turn = np.moveaxis(np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), 2, 0)
    at = xy[:, None] + scales[:, None, None] * (corners @ turn.transpose(0, 2, 1))
    inside = ((at >= 0) & (at <= photo.shape[::-1])).all((1, 2))
    assert rows.tolist() == np.flatnonzero(inside).tolist()
    assert 50 < inside.sum() < 450


def test_a_turned_and_grown_photo_gives_the_same_patch():
    """The patch sees the surface, not the pixels: the same blobs at twice the size and turned by a right angle."""
    y, x = np.mgrid[:400, :400]
    grown = 128 + 60 * np.sin(x / 17) * np.cos(y / 23) + 40 * np.sin((x + 2 * y) / 31)
    small = grown.reshape(200, 2, 200, 2).mean((1, 3))
    turned = np.rot90(grown, -1)  # clockwise: (x, y) goes to (400 - y, x), and angles grow by 90 degrees
    here = np.array([[90.0, 110.0]]), np.array([4.0]), np.array([0.3])
    first, _ = extract_patches(small.astype(np.float32), *here)
    second, _ = extract_patches(
        turned.astype(np.float32), np.array([[400 - 220.0, 180.0]]), np.array([8.0]), np.array([0.3 + np.pi / 2])
    )
    np.testing.assert_allclose(first, second, atol=2.5)
    assert first.std() > 20


def test_no_patch_without_a_shape(photo):
    xy = np.full((4, 2), 60.0)
    patches, rows = extract_patches(photo, xy, np.array([0.0, np.nan, 2.0, -1.0]), np.array([0.0, 0.0, np.inf, 0.0]))
    assert patches.shape == (0, 32, 32)
    assert len(rows) == 0
    assert extract_patches(photo, np.zeros((0, 2)), np.zeros(0), np.zeros(0))[0].shape == (0, 32, 32)
    with pytest.raises(ValueError, match="expected one of drop, replicate"):
        extract_patches(photo, xy, np.ones(4), np.zeros(4), boundary="clamp")
    one_pixel = np.full((1, 1), 7, np.uint8)
    patches, _ = extract_patches(one_pixel, np.zeros((1, 2)), np.ones(1) * 50, np.zeros(1), boundary="replicate")
    assert (patches == 7).all()
