"""The contract of re-rankers, over all of them, and what is particular to each."""

import numpy as np
import pytest

from localize.keys import key_of
from localize.retrieval.base import RankingSources
from localize.retrieval.exact import ExactRanking
from localize.retrieval.how import How
from localize.retrieval.ranking import rank
from localize.retrieval.reranking.asmk import Asmk
from localize.retrieval.reranking.diffusion import Diffusion
from localize.retrieval.reranking.dsm import Dsm
from localize.retrieval.reranking.query_expansion import QueryExpansion
from localize.types import Image, ImageList, Regions, Retrieval, VisualWords
from tests.conftest import PINHOLE, unit

HOW = How(backbone="compact")
RERANKERS = [
    *(QueryExpansion(), QueryExpansion(num_expanded=2, alpha=0), Diffusion(), Diffusion(k=4, truncation=3)),
    *(Dsm(), Dsm(num_verified=2), *(Asmk(HOW, num_verified=n) for n in (100, 2, None))),
]


def images(prefix: str, count: int) -> ImageList:
    return ImageList(Image(f"{prefix}{i}", PINHOLE) for i in range(count))


def described(count: int = 12, dim: int = 16):
    rng = np.random.default_rng(3)
    return images("q", 3), unit(rng.normal(size=(3, dim))), images("r", count), unit(rng.normal(size=(count, dim)))


def regions_of(photos: ImageList) -> dict[str, Regions]:
    """Twenty regions of each, at random."""
    rng, one = np.random.default_rng(4), np.ones(20)
    shape = np.stack([one, 0 * one, one], axis=1)
    channels, sizes = np.arange(20) // 2, [[10, 10]]
    return {n: Regions(rng.uniform(0, 10, (20, 2)), shape, channels, 0 * channels, one, sizes) for n in photos.names}


def words_of(photos: ImageList) -> dict[str, VisualWords]:
    """Twenty words of each out of thirty, with random codes."""
    rng = np.random.default_rng(4)
    codes = {n: rng.integers(2**63, size=(20, 2)).astype(np.uint64) for n in photos.names}
    return {n: VisualWords(np.sort(rng.permutation(30)[:20]), of, 128) for n, of in codes.items()}


@pytest.mark.parametrize("reranker", RERANKERS, ids=str)
def test_rerankers_contract(reranker):
    """Each query keeps the references it may find, best first; gaps stay at the end; what is given stays as it was."""
    queries, asked, references, vectors = described()
    given = rank(queries, asked, references, vectors, 6)
    ranked, scores = given.ranked.copy(), given.scores.copy()
    ranked[1, 4:], scores[1, 4:] = -1, -np.inf
    ranked[2], scores[2] = -1, -np.inf
    before = Retrieval(given.query_names, given.reference_names, ranked.copy(), scores.copy())
    allowed = {q: np.unique(row[row >= 0]) for q, row in enumerate(ranked)}
    found_of = words_of if isinstance(reranker, Asmk) else regions_of
    seen = {"query_regions": found_of(queries), "reference_regions": found_of(references)}
    sources = RankingSources(queries, asked, references, vectors.astype(np.float16), allowed=allowed, **seen)
    found = reranker.rerank(before, sources)
    assert [sorted(row) for row in found.ranked.tolist()] == [sorted(row) for row in ranked.tolist()]
    assert (found.ranked[1, 4:] == -1).all()
    assert (np.diff(found.scores[0]) <= 0).all()
    np.testing.assert_array_equal(before.ranked, ranked)
    assert key_of(reranker) == key_of(reranker)


def test_query_expansion_is_the_slow_one():
    queries, asked, references, vectors = described()
    plain = rank(queries, asked, references, vectors, 12)
    ranking = ExactRanking(rerank=(QueryExpansion(num_expanded=3, alpha=2.0),), num_reranked=8)
    found = rank(queries, asked, references, vectors, 5, ranking)
    for q in range(3):
        best = plain.ranked[q][:8]
        mean = asked[q] + sum(max(0, asked[q] @ vectors[r]) ** 2 * vectors[r] for r in best[:3])
        order = sorted(best, key=lambda r: -(vectors[r] @ mean))
        assert found.ranked[q].tolist() == order[:5]
    assert (found.ranked != plain.ranked[:, :5]).any()
