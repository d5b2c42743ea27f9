"""Approximate search among references by faiss, against the exact one."""

import pathlib

import numpy as np
import pytest

from localize.retrieval.exact import exact_search
from localize.retrieval.faiss_file import FaissFile
from localize.retrieval.faiss_vectors import FaissHnswRanking, FaissIvfRanking, FaissPqRanking
from localize.store import Store
from localize.types import InputError, StoreError
from tests.conftest import unit


def clustered(rng, number, dim=32, centers=40):
    base = rng.normal(size=(centers, dim))
    return unit(base[rng.integers(centers, size=number)] + 0.6 * rng.normal(size=(number, dim)))


SMALL = {"exact_below": 50}
FAISS = [
    FaissIvfRanking(num_probes=8, **SMALL),
    FaissIvfRanking(code="sq8", num_probes=8, num_lists=16, num_rescored=60, **SMALL),
    FaissPqRanking(num_codes=8, num_probes=8, num_rescored=100, iterations=4, **SMALL),
    FaissHnswRanking(**SMALL),
]


@pytest.fixture(scope="module")
def many():
    """(references (3000, 32) float16, queries (40, 32) float32)"""
    rng = np.random.default_rng(0)
    vectors = clustered(rng, 3040)
    return vectors[:3000].astype(np.float16), vectors[3000:]


@pytest.mark.parametrize("ranking", FAISS, ids=lambda r: f"{type(r).__name__}-{getattr(r, 'code', 'pq')}")
def test_faiss_finds_most_of_the_nearest_from_the_disk(ranking, many, tmp_path):
    vectors, asked = many
    built, _, _ = Store(tmp_path).artifact("ranking_index", {}, lambda: ranking.build(vectors))
    assert pathlib.Path(built.data.filename).is_relative_to(tmp_path)
    scores, rows = ranking.search(built, vectors, asked, 10)
    true_scores, true_rows = exact_search(vectors, asked, 10)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(rows, true_rows, strict=True)]) >= 8
    assert (np.diff(scores, axis=1) <= 0).all()
    if ranking.num_rescored:
        same = rows[:, 0] == true_rows[:, 0]
        np.testing.assert_allclose(scores[same, 0], true_scores[same, 0], rtol=1e-5)
    half = np.arange(0, 3000, 2)
    restricted = ranking.search(built, vectors, asked, 10, half)[1]
    assert not (restricted % 2).any()
    among = exact_search(vectors, asked, 10, half)[1]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(restricted, among, strict=True)]) >= 8
    few = np.arange(100, 140)  # so few are compared exactly, whatever lists they are in
    np.testing.assert_array_equal(
        ranking.search(built, vectors, asked, 5, few)[1], exact_search(vectors, asked, 5, few)[1]
    )
    again = ranking.build(vectors)
    np.testing.assert_array_equal(ranking.search(again, vectors, asked, 10)[1], rows)  # same seed, same index; no file


def test_few_references_are_compared_exactly(many, tmp_path):
    vectors, asked = many
    for ranking in (FaissIvfRanking(), FaissPqRanking(num_codes=8), FaissHnswRanking()):
        built = ranking.build(vectors[:60])
        assert not len(built.data)
        np.testing.assert_array_equal(
            ranking.search(built, vectors[:60], asked, 7)[1], exact_search(vectors[:60], asked, 7)[1]
        )
    with pytest.raises(
        InputError, match="num_codes is 64, but must be a divisor of the global descriptor's length, 32"
    ):
        FaissPqRanking().build(vectors)
    with pytest.raises(InputError, match="code is 'pq', but must be one of: fp16, sq8"):
        FaissIvfRanking(code="pq")
    damaged = FaissFile(np.frombuffer(b"nothing of faiss", np.uint8))
    with pytest.raises(StoreError, match="is damaged: remove it and run again"):
        FaissIvfRanking(exact_below=0).search(damaged, vectors, asked, 3)
