"""The most similar references by comparing all, in blocks of them and some queries at a time."""

import numpy as np
import pytest

from localize.retrieval import exact
from localize.retrieval.exact import ExactRanking, exact_search
from localize.retrieval.ranking import rank
from localize.types import InputError
from tests.conftest import unit
from tests.retrieval.test_restrictions import images


def brute_force(vectors, asked, num_found):
    """One product after the other, ties to the earlier row."""
    rows = []
    for q in asked:
        score = [float(sum(a * b for a, b in zip(q.astype(float), v.astype(float), strict=True))) for v in vectors]
        rows.append(sorted(range(len(vectors)), key=lambda i: (-score[i], i))[:num_found])
    return np.array(rows)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_exact_search_in_blocks_is_brute_force(monkeypatch, tmp_path, dtype):
    monkeypatch.setattr(exact, "STEP", 4)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 7 * 4 * 3)
    rng = np.random.default_rng(0)
    vectors = rng.integers(-2, 3, (53, 3)).astype(dtype)  # whole numbers: many ties, and sums without rounding
    np.save(tmp_path / "v.npy", vectors)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    asked = rng.integers(-2, 3, (6, 3)).astype(np.float32)
    scores, found = exact_search(mapped, asked, 9)
    np.testing.assert_array_equal(found, brute_force(vectors, asked, 9))
    np.testing.assert_array_equal(scores, np.take_along_axis(asked @ vectors.astype(np.float32).T, found, 1))
    rows = np.array([1, 4, 5, 8, 20, 21, 40, 52])
    np.testing.assert_array_equal(exact_search(mapped, asked, 99, rows)[1], rows[brute_force(vectors[rows], asked, 8)])


@pytest.mark.parametrize("block", [4, 60])
@pytest.mark.parametrize("num_asked", [6, 30])  # faiss compares 20 and more queries by another routine
def test_of_equal_ones_at_the_last_place_the_first_is_kept(monkeypatch, block, num_asked):
    monkeypatch.setattr(exact, "STEP", block)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 0)
    monkeypatch.setattr(exact, "SORTED_BYTES", 0)
    rng = np.random.default_rng(2)
    vectors, asked = (rng.integers(-1, 2, (n, 2)).astype(np.float32) for n in (53, num_asked))
    for num_found in (1, 2, 3, 9, 20):
        expected = brute_force(vectors, asked, num_found)
        np.testing.assert_array_equal(exact_search(vectors, asked, num_found)[1], expected)


def test_blocks_do_not_change_a_bit(monkeypatch):
    rng = np.random.default_rng(1)
    vectors, asked = unit(rng.normal(size=(5000, 40))), unit(rng.normal(size=(30, 40)))
    whole = exact_search(vectors, asked, 21)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 2048 * 4 * 40)
    for a, b in zip(whole, exact_search(vectors, asked, 21), strict=True):
        np.testing.assert_array_equal(a, b)


def test_queries_are_asked_some_at_a_time(monkeypatch):
    """As when all references of a large map ask for their neighbours."""
    vectors, asked = unit(np.random.default_rng(0).normal(size=(30, 3))), images([str(i) for i in range(30)])
    largest = []

    class Counting(ExactRanking):
        def search(self, built, vectors, asked, *rest):
            largest.append(len(asked))
            return super().search(built, vectors, asked, *rest)

    monkeypatch.setattr("localize.retrieval.ranking.QUERY_BYTES", 7 * 4 * 3)
    some = rank(asked, vectors, asked, vectors, 5, Counting(), restricted=False)
    assert largest == [7, 7, 7, 7, 2]
    product = vectors @ vectors.T - 9 * np.eye(30)
    np.testing.assert_array_equal(some.ranked, np.argsort(-product, 1)[:, :5])


def test_vectors_of_another_descriptor_are_refused():
    with pytest.raises(InputError, match="vectors have 3 values and the references' 2: describe both alike"):
        rank(images("q"), np.ones((1, 3), np.float32), images("ab"), np.ones((2, 2), np.float32), 1)
