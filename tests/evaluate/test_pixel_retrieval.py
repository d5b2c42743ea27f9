"""Pixel retrieval's scores: by hand, against slow twins, and each defect of the published code by itself."""

import dataclasses

import matplotlib.path
import numpy as np
import pytest

from localize.evaluate.pixel_retrieval import PROTOCOLS, THRESHOLDS, Protocol, polygon_ious, score_found
from localize.io.benchmarks.revisited import GradedQuery


def rectangle(left, top, right, bottom) -> np.ndarray:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def query(easy=(), hard=(), junk=()) -> GradedQuery:
    return GradedQuery("q", (0, 0, 1, 1), np.array(easy, int), np.array(hard, int), np.array(junk, int))


TRUTH = rectangle(10, 10, 29, 19)  # 20 x 10 px
HALF = rectangle(10, 10, 29, 15)  # 0.6 of it
GOOD = rectangle(10, 10, 29, 18)  # 0.9


def test_ious_by_hand():
    assert polygon_ious(HALF, [TRUTH]) == pytest.approx((0.6, 0.6))
    two = [rectangle(10, 10, 14, 14), rectangle(20, 10, 24, 14)]  # a box of 15 x 5, 50 of its 75 px filled
    assert polygon_ious(rectangle(10, 10, 24, 14), two) == pytest.approx((1, 50 / 75))
    assert polygon_ious(rectangle(50, 50, 60, 60), [TRUTH]) == (0, 0)
    assert polygon_ious(rectangle(10.9, 10.9, 29.9, 19.9), [TRUTH]) == (1, 1)  # cut to whole pixels
    assert polygon_ious(np.array([(12.0, 13.0)]), [TRUTH]) == pytest.approx((1 / 200, 1 / 200))
    assert polygon_ious(rectangle(-5, -5, 9, 9), [rectangle(0, 0, 9, 9)]) == (1, 1)


def slow_mask(polygons, width, height, *, box):
    """Each pixel by itself; of polygons those on the outline count."""
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
    inside = np.zeros(len(pixels), bool)
    points = np.concatenate(polygons)
    for polygon in polygons:
        inside |= matplotlib.path.Path(polygon).contains_points(pixels, radius=0.0)
        for start, end in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            along, off = end - start, pixels - start
            on = (off[:, 0] * along[1] == off[:, 1] * along[0]) & ((off * along).sum(1) >= 0)
            inside |= on & ((pixels - end) @ along <= 0) if along.any() else (off == 0).all(1)
    return ((pixels >= points.min(0)) & (pixels <= points.max(0))).all(1) if box else inside


@pytest.mark.parametrize("square", [False, True])
def test_ious_equal_those_of_pixels_one_by_one(square):
    """Of octagons, whose sides pass through the corners of pixels, so that there is no doubt which they touch."""
    rng = np.random.default_rng(0)
    for _ in range(60):

        def octagon():
            (x, y), (w, h), c = rng.integers(0, 20, 2), rng.integers(8, 30, 2), rng.integers(0, 4)
            corners = [(c, 0), (w - c, 0), (w, c), (w, h - c), (w - c, h), (c, h), (0, h - c), (0, c)]
            return np.array([(x + a, y + b) for a, b in corners], int)

        found, truth = octagon(), [octagon() for _ in range(rng.integers(1, 3))]
        side = max(np.concatenate([found, *truth]).max(0))
        width, height = (side, side) if square else (side + 1, side + 1)
        expected = []
        for box in (True, False):
            a, b = (slow_mask(p, width, height, box=box) for p in ([found], truth))
            expected.append((a & b).sum() / (a | b).sum())
        assert polygon_ious(found.astype(float), truth, square=square) == pytest.approx(expected, abs=1e-12)


def scores(found, queries, rankings, protocol, skipped=()):
    """Every labelled object is TRUTH."""
    labels = {(q, i): [TRUTH] for q, asked in enumerate(queries) for i in (*asked.easy, *asked.hard)}
    return score_found(found, labels, queries, [np.array(r) for r in rankings], skipped, protocol)


NOTHING = np.zeros((0, 2))


def test_an_easy_photo_in_which_nothing_is_found_counts_0_or_is_dropped():
    """Defect 1."""
    queries, found = [query(easy=[0, 1], hard=[2, 3])], {(0, 0): HALF, (0, 1): NOTHING, (0, 2): GOOD, (0, 3): NOTHING}
    fixed, dropped = (scores(found, queries, [[0, 1, 2, 3]], Protocol(drops_easy_misses=d)) for d in (False, True))
    assert fixed.mean_iou["medium", "box"] == pytest.approx((0.6 + 0 + 0.9 + 0) / 4)
    assert dropped.mean_iou["medium", "box"] == pytest.approx((0.6 + 0.9 + 0) / 3)  # a hard one counts either way
    assert fixed.mean_iou["hard", "box"] == dropped.mean_iou["hard", "box"] == pytest.approx(0.45)
    assert fixed.mean_average_precision == dropped.mean_average_precision
    del found[0, 1]  # as good as nothing found
    assert scores(found, queries, [[0, 1, 2, 3]], Protocol()).mean_iou == fixed.mean_iou


def test_skipped_queries_divide_or_not():
    """Defect 2."""
    queries, found = [query(hard=[0]), query(hard=[1])], {(0, 0): TRUTH, (1, 1): TRUTH}
    fixed, counted = (scores(found, queries, [[0, 1], [0, 1]], Protocol(counts_skipped=c), {1}) for c in (False, True))
    assert fixed.mean_average_precision["hard"] == 1
    assert counted.mean_average_precision["hard"] == 0.5
    assert fixed.mean_iou == counted.mean_iou  # which skips none


def test_recall_is_of_all_positives_or_of_those_that_passed():
    """Defect 3: one photo of four found, and first; another query found nothing at all."""
    queries, found = [query(hard=[0, 1, 2, 3]), query(hard=[4])], {(0, 0): TRUTH, (1, 4): NOTHING}
    rankings = [[0, 1, 2, 3, 4], [4, 0, 1, 2, 3]]
    fixed, passed = (scores(found, queries, rankings, Protocol(recall_of_passed=p)) for p in (False, True))
    assert fixed.mean_average_precision["hard"] == pytest.approx((1 / 4 + 0) / 2)
    assert passed.mean_average_precision["hard"] == 1
    none = scores({}, queries, rankings, Protocol(recall_of_passed=True))
    assert none.mean_average_precision["hard"] == 0


def test_masks_hold_the_last_row_or_are_square_without_it():
    """Defect 4: the largest coordinate is the right one of both; without its column 19 of 20 columns are left."""
    queries, found = [query(hard=[0])], {(0, 0): rectangle(20, 10, 29, 19)}
    fixed, square = (scores(found, queries, [[0]], Protocol(square_masks=s)).mean_iou for s in (False, True))
    assert fixed["hard", "box"] == pytest.approx(10 / 20)
    assert square["hard", "box"] == pytest.approx(9 / 19)
    assert square["hard", "segmentation"] == pytest.approx(9 / 19)


def test_thresholds_of_box_iou():
    """0.6 exceeds 0.50 and 0.55 alone; what fails stands in the way of what passes."""
    assert list(THRESHOLDS) == pytest.approx(np.arange(0.5, 0.99, 0.05))
    found = {(0, 0): HALF, (0, 1): TRUTH}
    made = scores(found, [query(easy=[0], hard=[1])], [[0, 1]], Protocol())
    both, second = 1.0, (0 / 1 + 1 / 2) / 2 / 2
    assert made.mean_average_precision["medium"] == pytest.approx((2 * both + 8 * second) / 10)
    assert made.mean_average_precision["hard"] == pytest.approx(1)  # the easy one is out of the ranking


def slow_precision(passed, positives, junk, ranking, *, of_passed):
    """By walking down the ranking."""
    hits, seen, area, before = 0, 0, 0.0, 1.0
    expected = len(passed) if of_passed else len(positives)
    for i in ranking:
        if i in junk:
            continue
        seen += 1
        if i in passed:
            hits += 1
            area += (before + hits / seen) / 2 / expected
        before = hits / seen
    return area


@pytest.mark.parametrize("name", PROTOCOLS)
def test_precision_equals_the_slow_one(name):
    rng, protocol = np.random.default_rng(4), PROTOCOLS[name]
    queries, found, rankings = [], {}, []
    for q in range(8):
        graded = rng.permutation(20)[:12]
        queries.append(query(graded[:4], graded[4:9], graded[9:]))
        rankings.append(rng.permutation(20))
        found |= {(q, i): TRUTH[:, :] * (1, rng.uniform(0.6, 1.4)) for i in graded[:9].tolist() if rng.random() < 0.7}
    made = scores(found, queries, rankings, protocol, {2, 5})
    ious = {pair: polygon_ious(p, [TRUTH], square=protocol.square_masks)[0] for pair, p in found.items()}
    for grade in ("medium", "hard"):
        means = []
        for t in range(50, 100, 5):
            total, count = 0.0, 2 * protocol.counts_skipped
            for q, asked in enumerate(queries):
                positives = asked.hard.tolist() + (asked.easy.tolist() if grade == "medium" else [])
                junk = asked.junk.tolist() + ([] if grade == "medium" else asked.easy.tolist())
                passed = [i for i in positives if ious.get((q, i), 0) > t / 100]
                if q in (2, 5) or (protocol.recall_of_passed and not passed):
                    continue
                count += 1
                of_passed = protocol.recall_of_passed
                total += slow_precision(passed, positives, junk, rankings[q], of_passed=of_passed)
            means.append(total / count)
        assert made.mean_average_precision[grade] == pytest.approx(np.mean(means), abs=1e-12)


def test_official_has_all_defects_and_fixed_none():
    assert all(dataclasses.astuple(PROTOCOLS["official"]))
    assert not any(dataclasses.astuple(PROTOCOLS["fixed"]))
