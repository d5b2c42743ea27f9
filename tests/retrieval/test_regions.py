"""Regions of generated activation maps: which are kept, and what two photos' have in common."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from localize.retrieval.regions import RegionSettings, count_activations, gain_of, regions_of
from localize.retrieval.spatial import SpatialSettings, verify
from localize.types import Regions

LINEAR, SHIFT = np.array([[1.25, 0], [0.15, 0.85]]), np.array([-3.0, 4.0])  # of the cells of the first level


def activations(rng, num_channels=60, linear=None, shift=(0, 0), scales=(1, 2**-0.5, 0.5)):
    """Maps of ellipses with a soft edge, 30 x 40 cells at scale 1, moved by x -> linear x + shift."""
    linear = np.eye(2) if linear is None else linear
    maps = [np.zeros((num_channels, round(30 * s), round(40 * s)), np.float32) for s in scales]
    for channel in range(num_channels):
        for _ in range(3):
            center, (wide, high), turn = rng.uniform((6, 5), (34, 25)), rng.uniform(1.5, 4, 2), rng.uniform(0, np.pi)
            height = rng.uniform(0.5, 1)
            axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * (wide, high)
            back = np.linalg.inv(linear @ axes)
            for scale, found in zip(scales, maps, strict=True):
                cells = (np.mgrid[: found.shape[1], : found.shape[2]][::-1] + 0.5).reshape(2, -1) / scale
                radius = np.linalg.norm(back @ (cells - (linear @ center + shift)[:, None]), axis=0)
                blob = height / (1 + np.exp(8 * (radius - 1))).reshape(found.shape[1:])
                found[channel] = np.maximum(found[channel], np.where(blob > 0.05, blob, 0))
    return maps


def pair(settings=RegionSettings()):
    query, reference = activations(np.random.default_rng(1)), activations(np.random.default_rng(1), 60, LINEAR, SHIFT)
    return regions_of(query, settings, True, 100.0), regions_of(reference, settings, False, 100.0)


@pytest.mark.parametrize("shape", ["paper", "official"])
@pytest.mark.parametrize("error", ["sq_sym_sum", "max_px"])
def test_a_known_map_is_recovered(shape, error):
    """From generated activations that a lower triangular map relates, up to the grid of cells."""
    query, reference = pair()
    found = verify(query, reference, SpatialSettings(shape=shape, error=error))
    assert found.levels == (0, 0)
    assert found.score > 40
    corners = np.array([[0, 0], [40, 0], [0, 30], [40, 30]])
    off = corners @ (found.affine[:, :2] - LINEAR).T + found.affine[:, 2] - SHIFT
    assert np.linalg.norm(off, axis=1).max() < (1 if shape == "paper" else 2)  # cells
    assert (np.unique(found.pairs[:, 0]).size, np.unique(found.pairs[:, 1]).size) == (len(found.pairs),) * 2
    assert int(found.score) == len(found.pairs)
    assert (query.channels[found.pairs[:, 0]] == reference.channels[found.pairs[:, 1]]).all()


def ellipses(rng, num, **changed):
    """Regions of one channel each, of 30 x 40 cells."""
    a, b, c = rng.uniform(1, 3, num), rng.uniform(-1, 1, num), rng.uniform(1, 3, num)
    made = {
        "centers": rng.uniform((0, 0), (40, 30), (num, 2)),
        "covariances": np.column_stack((a * a, a * b, b * b + c * c)),
        "channels": np.arange(num),
        "levels": np.zeros(num),
        "strengths": np.ones(num),
        "sizes": np.array([[30, 40]]),
    }
    return Regions(**made | changed)


def moved(regions, linear, shift):
    xx, xy, yy = regions.covariances.T
    full = linear @ np.array([[xx, xy], [xy, yy]]).transpose(2, 0, 1) @ linear.T
    return replace(
        regions,
        centers=regions.centers @ linear.T + shift,
        covariances=np.column_stack((full[:, 0, 0], full[:, 0, 1], full[:, 1, 1])),
    )


def test_ellipses_that_a_map_moves_give_that_map():
    query = ellipses(np.random.default_rng(2), 20)
    found = verify(query, moved(query, LINEAR, SHIFT), SpatialSettings())
    np.testing.assert_allclose(found.affine, np.column_stack((LINEAR, SHIFT)), atol=1e-5)
    assert found.score == pytest.approx(20.5, abs=1e-6)
    assert found.pairs.tolist() == [[n, n] for n in range(20)]


def test_official_shapes_are_square_roots_for_circles():
    """Circles that grow fourfold predict a change of two: only where they do not move does that fit."""
    num = 5
    query = ellipses(np.random.default_rng(3), num, covariances=np.tile([1.0, 0, 1], (num, 1)))
    reference = replace(query, centers=2 * query.centers, covariances=16 * query.covariances)
    assert verify(query, reference, SpatialSettings(shape="official")).affine[0, 0] == pytest.approx(2)
    assert verify(query, reference, SpatialSettings(shape="paper")).score == 0
    true = replace(query, centers=4 * query.centers, covariances=16 * query.covariances)
    assert verify(query, true, SpatialSettings(shape="paper")).affine[0, 0] == pytest.approx(4)


def test_official_shapes_that_are_not_numbers_match_nothing():
    """r11 r22 < r21^2 of the inverse Cholesky factor: long ellipses that lie obliquely."""
    covariances = np.tile([9.0, 8.9, 9], (6, 1))
    covariances[:4] = 1, 0, 1
    query = ellipses(np.random.default_rng(4), 6, covariances=covariances)
    assert len(verify(query, query, SpatialSettings(shape="official")).pairs) == 4
    assert len(verify(query, query, SpatialSettings()).pairs) == 6


def test_nothing_in_common():
    query = ellipses(np.random.default_rng(5), 2)
    for reference in (query, ellipses(np.random.default_rng(5), 0)):
        found = verify(query, reference, SpatialSettings())
        assert (found.score, found.pairs.shape, found.levels) == (0, (0, 2), (-1, -1))
        assert not found.affine.any()


def test_tentative_matches_are_cut_to_the_strongest_and_that_is_logged(caplog):
    rng, num = np.random.default_rng(6), 20
    query = ellipses(rng, num, channels=np.zeros(num), strengths=np.arange(num, 0, -1))
    with caplog.at_level(logging.INFO, logger="localize"):
        found = verify(query, query, SpatialSettings(max_tentative=100))
        assert "1 pairs of scales had more than 100 tentative matches" in caplog.text
        caplog.clear()
        assert int(verify(query, query, SpatialSettings(max_tentative=400)).score) == num
        assert not caplog.text
    products = np.multiply.outer(query.strengths, query.strengths)
    ranks = np.argsort(np.argsort(-products, axis=None, kind="stable")).reshape(num, num)
    strong = np.count_nonzero(ranks.diagonal() < 100)
    assert 3 < len(found.pairs) == strong < num


def test_threads_change_nothing():
    settings, maps = RegionSettings(), [activations(np.random.default_rng(n), 20) for n in range(6)]
    with ThreadPoolExecutor(2) as threads:
        made = [list(run(lambda m: regions_of(m, settings, True, 100.0), maps)) for run in (map, threads.map)]
        found = [list(run(lambda r: verify(made[0][0], r, SpatialSettings()), made[0])) for run in (map, threads.map)]
    for one, other in zip(*made, strict=True):
        assert all((getattr(one, name) == getattr(other, name)).all() for name in vars(one))
    for one, other in zip(*found, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert found[0][0].score > 20


def blocks(*cells, channels=1):
    """A map (1, 30, 40) of blocks of 3 x 3 cells: (x, y, activation, channel)."""
    found = np.zeros((channels, 30, 40), np.float32)
    for x, y, value, *channel in cells:
        found[channel[0] if channel else 0, y : y + 3, x : x + 3] = value
    return found


def test_regions_are_where_the_blocks_are():
    found = regions_of([blocks((5, 6, 2.0), (20, 10, 4.0))], RegionSettings(), False, 30.0)
    assert found.centers.tolist() == [[21.5, 11.5], [6.5, 7.5]]  # the strongest first
    assert found.strengths.tolist() == [4, 2]
    np.testing.assert_allclose(found.covariances, [[2 / 3, 0, 2 / 3]] * 2, rtol=1e-6)
    assert (found.sizes.tolist(), found.levels.tolist()) == ([[30, 40]], [0, 0])


def test_lines_and_flat_maps_have_no_region():
    line = np.zeros((2, 30, 40), np.float32)
    line[0, 4, 5:20] = 3
    line[1, np.arange(9), np.arange(9)] = 3
    for activations in (line, np.zeros((2, 30, 40), np.float32), np.full((2, 30, 40), 9, np.float32)):
        assert not len(regions_of([activations], RegionSettings(), True, 30.0))


def test_only_references_lose_regions_that_overlap():
    maps = [blocks((5, 6, 3.0, 0), (5, 6, 2.0, 1), (20, 6, 1.0, 1), channels=2)]
    assert regions_of(maps, RegionSettings(), True, 30.0).channels.tolist() == [0, 1, 1]
    reference = regions_of(maps, RegionSettings(), False, 30.0)
    assert reference.channels.tolist() == [0, 1]
    assert reference.strengths.tolist() == [3, 1]


def test_crowded_channels():
    """45 blocks: too many for the code, which skips the channel; 25: cut to the strongest, or all dropped."""
    places = [(x, y) for y in range(1, 27, 5) for x in range(1, 37, 4)]
    many, fewer = ([(x, y, 1 + n / 50) for n, (x, y) in enumerate(places[:num])] for num in (45, 25))
    for crowded, counts in (("keep", [(20, 10), (0, 0)]), ("drop", [(0, 0), (0, 0)])):
        settings = RegionSettings(crowded=crowded)
        for cells, wanted in zip((fewer, many), counts, strict=True):
            kept = [regions_of([blocks(*cells)], settings, of_query, 30.0) for of_query in (True, False)]
            assert tuple(map(len, kept)) == wanted
            assert not wanted[0] or kept[0].strengths.min() > kept[0].strengths.max() - 0.41
    assert len(regions_of([blocks(*fewer[:8])], RegionSettings(crowded="drop"), False, 30.0)) == 8


def test_caps_are_of_a_scale_and_of_all_together():
    maps = [blocks((5, 6, 3.0), (20, 6, 2.0), (30, 20, 1.0)), blocks((5, 6, 2.5), (20, 6, 0.5))]
    found = regions_of(maps, RegionSettings(max_regions=2), True, 30.0)
    assert (found.levels.tolist(), found.strengths.tolist()) == ([0, 1], [3, 2.5])


def test_dark_regions_are_found_where_wanted():
    maps = [np.where(blocks((10, 12, 1.0)) > 0, 1, 5).astype(np.float32)]
    maps[0][0, 13, 11] = 1.5
    assert not len(regions_of(maps, RegionSettings(), True, 30.0))
    assert regions_of(maps, RegionSettings(polarity="both"), True, 30.0).centers.tolist() == [[11.5, 13.5]]


def test_the_gain_puts_the_step_at_the_60th_percentile():
    values = np.random.default_rng(7).gamma(2, 3, (2, 50, 40, 40)).astype(np.float32)
    values[:, ::2] *= -1
    gain = gain_of(count_activations(values[0]) + count_activations(values[1]))
    assert gain == pytest.approx(12 / np.percentile(values[values > 0], 60), rel=1e-3)
    assert gain_of(count_activations(np.zeros((3, 4, 4), np.float32))) == 1


@pytest.mark.parametrize(("ground", "block", "found"), [(8, 17, True), (8, 15, False), (20, 35, True), (20, 31, False)])
def test_raw_activations_have_a_step_of_their_own(ground, block, found):
    """Two thirds lie at `ground`, the first bin that reaches 60 %: as high is the step, but 12 at most."""
    maps = np.ones((1, 30, 40), np.float32)
    maps[0, :20] = ground
    maps[0, 3:8, 3:8] = block
    assert len(regions_of([maps], RegionSettings(quant="raw"), True)) == found
