"""Maximally stable regions against a slow twin that keeps every region as a mask; ellipses against plain geometry."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label

from localize.kernels.region_ellipses import _crossings, boxes_and_strengths, without_overlaps
from localize.kernels.stable_regions import stable_regions


def extremal_regions(image):
    """[(value, mask)] by value, then by the first cell that has it: components at levels where a cell is that high."""
    found = []
    for value in np.unique(image):
        labels, num = label(image <= value, np.ones((3, 3)))
        masks = [m for m in (labels == k + 1 for k in range(num)) if image[m].max() == value]
        found += [(int(value), m) for m in sorted(masks, key=lambda m: np.flatnonzero(m & (image == value))[0])]
    return found


def slow_regions(image, step):
    regions = extremal_regions(image)
    areas = [int(mask.sum()) for _, mask in regions]
    ancestors = [  # nearest first, without the region itself
        [j for j in range(i + 1, len(regions)) if regions[j][0] > value and (regions[j][1] & mask).any()]
        for i, (value, mask) in enumerate(regions)
    ]
    variations = []
    for i, (value, _) in enumerate(regions):
        top = [i, *(j for j in ancestors[i] if regions[j][0] <= value + step)][-1]
        variations.append((areas[top] - areas[i]) / areas[i])
    stable = set(range(len(regions)))
    for i, (value, _) in enumerate(regions):
        parent = ancestors[i][0] if ancestors[i] else i
        if regions[parent][0] <= value + 1:
            stable.discard(parent if variations[i] < variations[parent] else i)
    for i in reversed(range(len(regions))):
        if i in stable:
            around = next((j for j in ancestors[i] if j in stable), ancestors[i][-1] if ancestors[i] else i)
            diverse = (areas[around] - areas[i]) / areas[around] >= 0.7
            if variations[i] >= 0.5 or not 0.001 * image.size <= areas[i] <= 0.75 * image.size or not diverse:
                stable.discard(i)
    rows = []
    for i in sorted(stable):
        y, x = np.nonzero(regions[i][1])
        rows.append([regions[i][0], areas[i], x.sum(), y.sum(), (x * x).sum(), (x * y).sum(), (y * y).sum()])
    return rows


def drawn(rng):
    """Images of all sorts, (h, w) uint8: noise of few and of many values, blobs, steps, sparse ones, lines."""
    yield from (rng.integers(0, high, (9, 11)).astype(np.uint8) for high in (2, 6, 40, 256))
    for sigma in (0.8, 1.5, 3.0):
        smooth = gaussian_filter(rng.standard_normal((20, 26)), sigma)
        yield np.clip(255 * (smooth - smooth.min()) / np.ptp(smooth), 0, 255).astype(np.uint8)
        yield np.clip(255 - 90 * np.maximum(smooth / smooth.std() - 0.5, 0), 0, 255).astype(np.uint8)
    yield np.repeat(np.repeat(rng.integers(0, 256, (5, 6)), 4, 0), 4, 1).astype(np.uint8)
    yield np.add.outer(np.arange(12), np.arange(15)).astype(np.uint8)
    yield from (np.full((4, 5), value, np.uint8) for value in (0, 255))
    yield rng.integers(0, 256, (1, 30)).astype(np.uint8)


@pytest.mark.parametrize("step", [0, 12, 60])
def test_stable_regions_are_those_of_the_slow_twin(step):
    rng, num = np.random.default_rng(step), 0
    for image in drawn(rng):
        both = np.stack((image, 255 - image))  # bright and dark; the second must not see what the first left behind
        wanted = [[k, *row] for k, each in enumerate(both) for row in slow_regions(each, step)]
        assert stable_regions(both, step).tolist() == wanted
        num += len(wanted)
    assert num > 20


def test_a_block_is_one_stable_region():
    image = np.full((1, 10, 10), 255, np.uint8)
    image[0, 2:5, 3:7] = 55
    y, x = np.mgrid[2:5, 3:7]
    sums = [12, x.sum(), y.sum(), (x * x).sum(), (x * y).sum(), (y * y).sum()]
    assert stable_regions(image, 12).tolist() == [[0, 55, *sums]]
    image[0, 5, 7] = 55  # touches at a corner
    assert stable_regions(image, 12)[:, 2].tolist() == [13]
    image[0, :9] = 55  # more than three quarters
    assert not len(stable_regions(image, 12))


def in_polygon(x, y, corners):
    """Which cells (N,) lie within the polygon (K, 2) or on its edge, in whole numbers."""
    x, y = x[:, None], y[:, None]
    (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
    side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
    along = (
        (np.minimum(x0, x1) <= x) & (x <= np.maximum(x0, x1)) & (np.minimum(y0, y1) <= y) & (y <= np.maximum(y0, y1))
    )
    crossed = ((y0 > y) != (y1 > y)) & ((side > 0) == (y1 > y0))
    return ((side == 0) & along).any(1) | (crossed.sum(1) % 2 == 1)


def test_boxes_and_strengths_are_those_of_the_polygon():
    rng = np.random.default_rng(3)
    maps = np.maximum(rng.standard_normal((4, 24, 28)) - 0.8, 0).astype(np.float32)
    maps[3] = 0
    num, angles = 400, np.linspace(0, 2 * np.pi, 40)
    circle = np.column_stack((np.cos(angles), np.sin(angles)))
    means = rng.uniform((0, 0), (27, 23), (num, 2))
    factors = np.column_stack((rng.uniform(0.2, 4, num), rng.uniform(-8, 8, num), rng.uniform(0.2, 16, num)))
    channels = rng.integers(0, 4, num)
    boxes, strengths = boxes_and_strengths(means, factors, channels, maps, circle)
    y, x = (i.ravel() for i in np.indices((24, 28)))
    row = np.arange(-40, 68)
    for n in range(num):
        s11, s21, s22 = factors[n]
        outline = means[n] + circle @ np.array([[s11, s21], [0, s22]])
        corners = np.floor(outline + 0.5).astype(int)
        low, high = np.maximum(corners.min(0), 0), np.minimum(corners.max(0), (27, 23))
        assert boxes[n].tolist() == [*low, *high]
        middle = corners[:, 1].min() + np.ptp(corners[:, 1]) // 3
        left, right = _crossings(corners, middle)
        assert row[in_polygon(row, np.full_like(row, middle), corners)].tolist() == list(range(left, right + 1))
        within = maps[channels[n], y, x][in_polygon(x, y, corners)]
        assert strengths[n] == (within.max(initial=0) if (high > low).all() else 0)
    assert 100 < np.count_nonzero(strengths) < 350  # some of each


def test_overlaps_are_those_of_all_pairs():
    rng = np.random.default_rng(4)
    low = rng.integers(0, 20, (200, 2))
    boxes = np.column_stack((low, low + rng.integers(1, 9, (200, 2)))).astype(np.int32)

    def overlap(a, b):
        wide, high = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        both = max(wide, 0) * max(high, 0)
        return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)

    kept = []
    for n, box in enumerate(boxes):
        if all(overlap(box, boxes[k]) <= 0.2 for k in kept):
            kept.append(n)
    assert without_overlaps(boxes, 0.2).tolist() == kept
    assert 20 < len(kept) < 150
