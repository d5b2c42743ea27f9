"""Maximally stable extremal regions of many small images, with the moments of their cells.

Matas, Chum, Urban & Pajdla, "Robust wide baseline stereo from maximally stable extremal regions", BMVC 2002; what is
stable, and which of two alike is kept, by the rules of VLFeat (Vedaldi & Fulkerson, ACM Multimedia 2010).

An extremal region is a connected component (8 neighbours) of the cells whose value is at most some level, at a level
where it is complete: its parent has a higher value. The components of all levels form a tree, which is grown by
increasing value with union-find. All that is compared are whole numbers and quotients of two, so nothing hangs on the
order of sums.
"""

import numpy as np
from numba import njit

HIGHEST = 255  # cells of this value belong to the root alone: most of a sparse map, and never looked at
MAX_VARIATION = 0.5  # a region grows by less than this share of its area within the step
MIN_DIVERSITY = 0.7  # share of the next stable region around it that a region leaves free
MIN_AREA, MAX_AREA = 0.001, 0.75  # shares of the image

VALUE, AREA = 0, 1  # columns of a region: then the sums of x, y, x^2, xy, y^2 over its cells
COLUMNS = 7


@njit(nogil=True, cache=True)
def stable_regions(images, step):
    """The stable regions of images (C, h, w) uint8, as rows (M, 8) int64, by image, then by value.

    A row: image; value of the region's highest cell; area; sums over its cells of x, y, x^2, xy, y^2, where the centre
    of the upper-left cell is (0, 0). Regions of one value are in the order of their first cell that has it.
    """
    num_images, height, width = images.shape
    cells = (height + 2) * (width + 2)  # with a border that is never reached
    roots, region_of = np.empty(cells, np.int32), np.empty(cells, np.int32)
    sums = np.empty((cells, COLUMNS), np.int64)
    order, waiting = np.empty(height * width, np.int32), np.empty(height * width, np.int32)
    regions, parents = np.empty((height * width + 1, COLUMNS), np.int64), np.empty(height * width + 1, np.int32)
    stable = np.empty(height * width + 1, np.bool_)
    rows, num_rows = np.empty((max(64, 4 * num_images), 1 + COLUMNS), np.int64), 0
    for image in range(num_images):
        num_regions = _grow(images[image], roots, region_of, sums, order, waiting, regions, parents)
        _select(regions, parents, num_regions, height * width, step, stable)
        for region in range(num_regions):
            if stable[region]:
                if num_rows == rows.shape[0]:
                    rows = np.concatenate((rows, np.empty_like(rows)))
                rows[num_rows, 0] = image
                rows[num_rows, 1:] = regions[region]
                num_rows += 1
    return rows[:num_rows].copy()


@njit(nogil=True, cache=True)
def _grow(image, roots, region_of, sums, order, waiting, regions, parents):
    """Fill the tree of one image, rows of `regions` by increasing value, the root last; returns how many there are.

    roots: the union-find's forest over cells, -1 = not reached; region_of: the region whose component a root stands
    for, -1 = one of this level, not yet complete.
    """
    width = image.shape[1]
    starts = _by_value(image, order)
    roots[:] = -1
    num_regions = 0
    for value in range(HIGHEST):
        first, last = starts[value], starts[value + 1]
        num_waiting = 0
        for k in range(first, last):
            num_waiting = _add_cell(order[k], width + 2, value, roots, region_of, sums, waiting, num_waiting, parents)
        for k in range(first, last):
            root = _find(roots, order[k])
            if region_of[root] < 0:
                region_of[root] = num_regions
                regions[num_regions] = sums[root]
                parents[num_regions] = -1
                num_regions += 1
        for k in range(num_waiting):
            parents[waiting[k]] = region_of[_find(roots, parents[waiting[k]])]
    if starts[HIGHEST] < image.size:
        regions[num_regions, VALUE], regions[num_regions, AREA] = HIGHEST, image.size
        parents[num_regions] = -1
        num_regions += 1
    for region in range(num_regions):
        if parents[region] < 0:
            parents[region] = num_regions - 1
    return num_regions


@njit(nogil=True, cache=True)
def _by_value(image, order):
    """Fill `order` with the cells below the highest value, by value and then as they lie; returns (257,) starts.

    Cells are numbered in the image with its border.
    """
    height, width = image.shape
    starts = np.zeros(HIGHEST + 2, np.int64)
    for y in range(height):
        for x in range(width):
            starts[image[y, x] + 1] += 1
    for value in range(HIGHEST + 1):
        starts[value + 1] += starts[value]
    filled = starts.copy()
    for y in range(height):
        for x in range(width):
            value = image[y, x]
            if value < HIGHEST:
                order[filled[value]] = (y + 1) * (width + 2) + x + 1
                filled[value] += 1
    return starts


@njit(nogil=True, cache=True)
def _add_cell(cell, stride, value, roots, region_of, sums, waiting, num_waiting, parents):
    """Join a cell to the components around it; those that were complete wait for their parent, a cell of it so far."""
    x, y = cell % stride - 1, cell // stride - 1
    roots[cell] = cell
    region_of[cell] = -1
    own = sums[cell]
    own[0], own[1], own[2], own[3], own[4], own[5], own[6] = value, 1, x, y, x * x, x * y, y * y
    root = cell
    for k in range(9):
        neighbour = cell + (k // 3 - 1) * stride + k % 3 - 1
        if roots[neighbour] < 0:
            continue
        other = _find(roots, neighbour)
        if other == root:
            continue
        if region_of[other] >= 0:
            waiting[num_waiting] = region_of[other]
            parents[region_of[other]] = cell
            num_waiting += 1
        if sums[other, AREA] > sums[root, AREA]:
            root, other = other, root
        roots[other] = root
        region_of[root] = -1
        sums[root, VALUE] = value
        for column in range(AREA, COLUMNS):
            sums[root, column] += sums[other, column]
    return num_waiting


@njit(nogil=True, cache=True)
def _find(roots, cell):
    """The root of a cell's component; every other cell on the way is hung nearer to it."""
    while roots[cell] != cell:
        roots[cell] = roots[roots[cell]]
        cell = roots[cell]
    return cell


@njit(nogil=True, cache=True)
def _select(regions, parents, num_regions, size, step, stable):
    """Fill stable (regions,) bool for one tree."""
    variations = np.empty(num_regions)
    for region in range(num_regions):
        top = region
        while parents[top] != top and regions[parents[top], VALUE] <= regions[region, VALUE] + step:
            top = parents[top]
        area = regions[region, AREA]
        variations[region] = (regions[top, AREA] - area) / area
    stable[:num_regions] = True
    for region in range(num_regions):  # the root is its own parent and always loses
        parent = parents[region]
        if regions[parent, VALUE] <= regions[region, VALUE] + 1:
            stable[parent if variations[region] < variations[parent] else region] = False
    for region in range(num_regions - 1, -1, -1):  # larger ones first: those dropped no longer count as around
        if not stable[region]:
            continue
        around = parents[region]
        while not stable[around] and parents[around] != around:
            around = parents[around]
        area = regions[region, AREA]
        stable[region] = (
            variations[region] < MAX_VARIATION
            and MIN_AREA * size <= area <= MAX_AREA * size
            and (regions[around, AREA] - area) / regions[around, AREA] >= MIN_DIVERSITY
        )
