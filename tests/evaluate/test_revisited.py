"""mAP and mP@k of Revisited Oxford and Paris: worked by hand, and against an implementation of another kind."""

from fractions import Fraction

import numpy as np
import pytest

from localize.evaluate.revisited import SETUPS, average_precision, precision_at, ranks_without, score_rankings
from localize.io.benchmarks.revisited import GradedQuery, read_graded_photos
from localize.retrieval import exact
from tests.conftest import SHARED

REAL = SHARED / "data" / "formats" / "revisitop"


def query(easy=(), hard=(), junk=()) -> GradedQuery:
    return GradedQuery("q", (0, 0, 1, 1), np.array(easy, int), np.array(hard, int), np.array(junk, int))


def test_worked_by_hand():
    """Of photos 0 to 7: 1 and 4 easy, 6 hard, 0 and 3 junk."""
    asked = query(easy=[1, 4], hard=[6], junk=[0, 3])
    ranking = np.array([3, 1, 2, 6, 0, 4, 7, 5])
    scores = score_rankings([ranking], [asked], (1, 5, 10))
    # easy: junk 3, 6, 0 out: 1 2 4 7 5. Ranks 0, 2: ((1 + 1) / 2 + (1/2 + 2/3) / 2) / 2
    assert scores["easy"].average_precision[0] == pytest.approx((1 + 7 / 12) / 2)
    assert scores["easy"].precision[0].tolist() == [1, pytest.approx(2 / 3), pytest.approx(2 / 3)]  # up to rank 3
    # medium: 1 2 6 4 7 5. Ranks 0, 2, 3: (1 + (1/2 + 2/3) / 2 + (2/3 + 3/4) / 2) / 3
    assert scores["medium"].average_precision[0] == pytest.approx((1 + 7 / 12 + 17 / 24) / 3)
    assert scores["medium"].precision[0].tolist() == [1, 0.75, 0.75]
    # hard: junk 3, 1, 0, 4 out: 2 6 7 5. Rank 1: (0/1 + 1/2) / 2
    assert scores["hard"].average_precision[0] == pytest.approx(0.25)
    assert scores["hard"].precision[0].tolist() == [0, 0.5, 0.5]


def test_queries_without_positives_do_not_count_and_positives_not_found_add_nothing():
    with_easy, without = query(easy=[0], hard=[1]), query(hard=[0, 1])
    scores = score_rankings([np.array([0, 2]), np.array([2, 0])], [with_easy, without], (1, 5))
    assert scores["easy"].num_counted == 1
    assert scores["easy"].mean_average_precision == 1
    assert scores["easy"].mean_precision == [1, 1]
    assert scores["medium"].average_precision.tolist() == [0.5, 0.125]  # of two, one was found: first, or second
    assert scores["hard"].average_precision.tolist() == [0, 0.125]
    assert scores["hard"].precision.tolist() == [[0, 0], [0, 0.5]]
    nobody = score_rankings([np.array([0])], [query(junk=[0])], (1,))["medium"]
    assert (nobody.mean_average_precision, nobody.mean_precision) == (None, [None])


def test_ties_go_to_the_earlier_photo(monkeypatch):
    """As a stable argsort of the negative similarities, in one block of vectors and in two."""
    vectors = np.tile(np.array([[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]], np.float32), (300, 1))
    for block_bytes in (exact.BLOCK_BYTES, 1):
        monkeypatch.setattr(exact, "BLOCK_BYTES", block_bytes)
        scores, found = exact.exact_search(vectors, np.array([[1, 0], [0, 2]], np.float32), len(vectors))
        for column in (0, 1):
            assert found[column].tolist() == np.argsort(-vectors[:, column], kind="stable").tolist()
            assert scores[column].tolist() == sorted((1 + column) * vectors[:, column], reverse=True)
    _, (order,) = exact.exact_search(vectors[:5], np.array([[1, 0]], np.float32), 5)
    scores = score_rankings([order], [query(easy=[4])], (1, 5))["easy"]
    assert scores.average_precision[0] == pytest.approx(1 / 6)  # third: (0/2 + 1/3) / 2


def slow(ranking, positives: set, junk: set, ks):
    """By walking down the ranking, in fractions."""
    area, hits, seen, precision = Fraction(0), 0, 0, []
    before, last = Fraction(1), 0
    walked = []
    for place in ranking:
        if place in junk:
            continue
        seen += 1
        if place in positives:
            hits += 1
            last = seen
            area += (before + Fraction(hits, seen)) / 2 / len(positives)
        walked.append(place in positives)
        before = Fraction(hits, seen)
    for k in ks:
        reach = min(k, last)
        precision.append(Fraction(sum(walked[:reach]), reach) if reach else Fraction(0))
    return float(area), [float(p) for p in precision]


def check_against_slow(queries, num_photos: int, rng, ks=(1, 5, 10)) -> int:
    """Random rankings, a third of them with positives brought forward and a third cut short."""
    rankings = []
    for i, asked in enumerate(queries):
        order = rng.permutation(num_photos)
        good = np.concatenate([asked.easy, asked.hard])
        if i % 3 == 0 and len(good):
            order = np.concatenate([rng.permutation(good), np.setdiff1d(order, good, assume_unique=True)])
        rankings.append(order[: num_photos // 2] if i % 3 == 1 else order)
    scores, counted = score_rankings(rankings, queries, ks), 0
    for setup, (positive, ignored) in SETUPS.items():
        expected = []
        for i, (ranking, asked) in enumerate(zip(rankings, queries, strict=True)):
            positives = {int(p) for grade in positive for p in getattr(asked, grade)}
            if not positives:
                assert np.isnan(scores[setup].average_precision[i])
                continue
            junk = {int(p) for grade in ignored for p in getattr(asked, grade)}
            ap, precision = slow(ranking.tolist(), positives, junk, ks)
            assert scores[setup].average_precision[i] == pytest.approx(ap, abs=1e-12)
            assert scores[setup].precision[i] == pytest.approx(precision, abs=1e-12)
            expected.append(ap)
        assert scores[setup].mean_average_precision == pytest.approx(np.mean(expected))
        counted += scores[setup].num_counted
    return counted


def test_random_rankings_equal_the_walk_down_the_list():
    rng = np.random.default_rng(0)
    queries = []
    for _ in range(60):
        graded = rng.permutation(30)[: rng.integers(0, 20)]
        queries.append(query(*np.split(graded, np.sort(rng.integers(0, len(graded) + 1, 2)))))
    assert check_against_slow(queries, 30, rng) > 100


@pytest.mark.parametrize(("name", "counted"), [("roxford5k", 208), ("rparis6k", 210)])
def test_random_rankings_of_the_real_ground_truth(name, counted):
    path = REAL / f"gnd_{name}.pkl"
    if not path.is_file():
        pytest.skip(f"the real ground truth is not at {path}")
    photos = read_graded_photos(path)
    assert check_against_slow(photos.queries, len(photos.names), np.random.default_rng(1)) == counted


def test_the_parts():
    assert ranks_without(np.array([5, 3, 9, 1]), np.array([1, 5, 8]), np.array([3, 7])).tolist() == [0, 2]
    assert average_precision(np.zeros(0, int), 3) == 0
    assert precision_at(np.array([0, 1]), 10) == 1  # two positives, both first: not 2 / 10
