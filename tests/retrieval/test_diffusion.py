"""Diffusion over the mutual graph of the references: as by hand, as by a dense solve, and among what may be found."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from localize.retrieval.base import RankingSources
from localize.retrieval.exact import ExactRanking
from localize.retrieval.ranking import rank
from localize.retrieval.reranking.diffusion import Diffusion, similarities
from localize.retrieval.reranking.neighbour_graph import mutual_graph
from localize.stages import Workbench
from localize.stages.ranking import build_ranking
from localize.store import Store
from localize.types import Image, ImageList, InputError, Retrieval
from tests.conftest import PINHOLE, unit

ASKED = np.array([[1, 0]], np.float32)


def on_circle(*degrees) -> np.ndarray:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1).astype(np.float32)


def images(prefix: str, count: int) -> ImageList:
    return ImageList(Image(f"{prefix}{i}", PINHOLE, tags=("even",) if i % 2 == 0 else ()) for i in range(count))


def dense_graph(vectors, k, gamma) -> np.ndarray:
    """The slow twin of the graph, in float64."""
    similarities = vectors.astype(float) @ vectors.astype(float).T
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    listed = np.zeros(similarities.shape, bool)
    np.put_along_axis(listed, nearest, True, axis=1)
    weights = np.where(listed & listed.T, np.maximum(similarities, 0) ** gamma, 0)
    np.fill_diagonal(weights, 0)
    return weights


def dense_heat(weights, y, alpha=0.99) -> np.ndarray:
    """The slow twin of the diffusion: no conjugate gradients."""
    with np.errstate(divide="ignore"):
        scale = np.where(weights.sum(1) > 0, weights.sum(1) ** -0.5, 0)
    return np.linalg.solve(np.eye(len(y)) - alpha * scale[:, None] * weights * scale, y)


def scattered(count: int = 50, dim: int = 6, queries: int = 4):
    rng = np.random.default_rng(5)
    vectors, asked = unit(rng.normal(size=(count, dim))), unit(rng.normal(size=(queries, dim)))
    return images("q", queries), asked.astype(np.float32), images("r", count), vectors.astype(np.float32)


def test_mutual_graph_by_hand():
    """On a circle at 0, 10, 25, 60 and 180 degrees, with k = 3: who has whom among the two nearest others?

    0: 10, 25. 10: 0, 25. 25: 10, 0. 60: 25, 10, who do not have it. 180: 60 and 25, behind it: dot products below 0.
    """
    graph = mutual_graph(on_circle(0, 10, 25, 60, 180), 3, 3.0)
    a, b, c = (np.cos(np.radians(d)) ** 3 for d in (10, 25, 15))
    expected = [[0, a, b, 0, 0], [a, 0, c, 0, 0], [b, c, 0, 0, 0], [0] * 5, [0] * 5]
    np.testing.assert_allclose(graph.matrix().toarray(), expected, atol=1e-6)
    opposite = mutual_graph(on_circle(0, 100), 50, 3.0)  # N < k: all are listed, but this one is not positive
    assert (len(opposite), len(opposite.weights)) == (2, 0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_graph_of_mapped_vectors_in_blocks_is_the_slow_one(monkeypatch, tmp_path, dtype):
    monkeypatch.setattr("localize.retrieval.reranking.neighbour_graph.AT_ONCE", 7)
    vectors = scattered()[3].astype(dtype)
    np.save(tmp_path / "v.npy", vectors)
    for k in (8, 60):  # 60: more than there are
        weights = mutual_graph(np.load(tmp_path / "v.npy", mmap_mode="r"), k, 2.0).matrix().toarray()
        np.testing.assert_array_equal(weights, weights.T)
        np.testing.assert_allclose(weights, dense_graph(vectors, k, 2.0), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_similarities_of_some_rows_in_blocks_are_the_products(monkeypatch, dtype):
    monkeypatch.setattr("localize.retrieval.reranking.diffusion.BLOCK", 7)
    _, asked, _, vectors = scattered()
    vectors = vectors.astype(dtype)
    for rows in (np.arange(50), np.array([3, 4, 9, 20, 21, 22, 40, 41, 49]), np.arange(0)):
        found = similarities(vectors, rows, asked[0])
        np.testing.assert_allclose(found, vectors[rows].astype(np.float32) @ asked[0], atol=1e-6)


def test_diffusion_is_the_dense_solve():
    """All 50 references by heat from the five nearest, and the 20 nearest by heat in a graph of their own."""
    queries, asked, references, vectors = scattered()
    for truncation in (None, 50, 20):
        diffusion = Diffusion(k=9, iterations=300, tolerance=1e-12, truncation=truncation)
        found = rank(queries, asked, references, vectors, 50, ExactRanking(rerank=(diffusion,), num_reranked=10))
        for q in range(len(asked)):
            cosines = (vectors @ asked[q]).astype(float)
            nearest, y = np.argsort(-cosines), np.zeros(50)
            y[nearest[:5]] = np.maximum(cosines[nearest[:5]], 0) ** 3
            nodes, heat = np.sort(nearest[:truncation]), np.zeros(50)
            weights = dense_graph(vectors, 9, 3.0)[np.ix_(nodes, nodes)]
            heat[nodes] = dense_heat(weights, y[nodes])
            assert (heat[nodes] > 1e-6).sum() > 15  # else there were nothing to compare
            np.testing.assert_allclose(found.scores[q], heat[found.ranked[q]], rtol=1e-4, atol=1e-6)
            assert sorted(found.ranked[q]) == list(range(50))
            assert (np.diff(found.scores[q]) <= 0).all()


def test_isolated_references_keep_their_heat_and_their_order():
    """No edge at all: seeds have their own heat, which is 0 behind the query, and the rest stays in order of cosine."""
    vectors = on_circle(0, 95, 200, 290, 40)
    weights = mutual_graph(vectors, 1, 3.0)
    assert not len(weights.weights)
    sources = RankingSources(images("q", 1), ASKED, images("r", 5), vectors, built=weights)
    given = Retrieval(("q0",), sources.references.names, [[0, 4, 3, 1, 2]], [[1, 0.77, 0.34, -0.1, -0.94]])
    found = Diffusion(num_seeds=2).rerank(given, sources)
    assert found.ranked.tolist() == [[0, 4, 3, 1, 2]]
    np.testing.assert_allclose(found.scores[0], [1, np.cos(np.radians(40)) ** 3, 0, 0, 0], atol=1e-6)


def seeds(scores, cosines, **settings) -> dict:
    """Heat of each seed."""
    given = np.arange(len(scores)), np.asarray(scores, np.float32), np.asarray(cosines, np.float32)
    rows, heat = Diffusion(**settings)._seeds(*given)
    return {int(row): round(float(of), 4) for row, of in zip(rows, heat, strict=True) if of}


def test_seeds_of_the_paper_and_of_the_code():
    """Verified: inliers / most inliers x cosine of the ten best, without a power; nearest: the cosine's third power."""
    inliers = [20.4, 16.3, 12.2, 10.5, 10.1, 8.3, 4.2, 3.1, 0, 0, 90.0]  # the eleventh is not looked at
    cosines = [0.5, 0.9, 0.6, 0.2, 0.8, 0.7, 0.5, 0.1, 1, 1, 1]
    five = {1: 0.72, 0: 0.5, 4: 0.4, 2: 0.36, 5: 0.28}
    assert seeds(inliers, cosines, seeds="verified") == five
    assert seeds(inliers, cosines, seeds="verified", num_seeds=4) == {k: v for k, v in five.items() if k != 5}
    assert seeds(inliers[:3], [-0.1, 0, -1], seeds="verified") == {0: 1.0, 1: 0.8, 2: 0.6}  # the inliers alone
    assert seeds([0, 0, 0], [0.5, 1, 0.1], seeds="verified", num_seeds=2) == {0: 0.125, 1: 1.0}  # none: the nearest
    assert seeds(inliers, [0.5, -1, 0.2], num_seeds=2) == {0: 0.125, 2: 0.008}
    with pytest.raises(InputError, match=r"found 0\.7: put dsm right before it, as \+reranking=dsm_diffusion does"):
        seeds([0.7, 0.6], [0.7, 0.6], seeds="verified")


@dataclass(frozen=True)
class Inliers:
    """Puts the reference of a row first, with ten inliers, as a re-ranker that verifies."""

    row: int

    VERSION: ClassVar[int] = 1

    def rerank(self, ranking, sources):
        ranked = [[self.row, *(r for r in row if r != self.row)] for row in ranking.ranked.tolist()]
        scores = np.zeros(ranking.scores.shape)
        scores[:, 0] = 10.3
        return Retrieval(ranking.query_names, ranking.reference_names, ranked, scores)


@pytest.mark.parametrize("truncation", [50, 4])
def test_verified_seeds_come_from_the_re_ranker_before(truncation):
    """The one that was verified is the only seed, and a node though four others are nearer."""
    queries, asked, references, vectors = scattered()
    nearest = np.argsort(-vectors @ asked[0])
    row, nodes = int(nearest[7]), np.union1d(nearest[:truncation], nearest[7])
    diffusion = Diffusion(k=9, iterations=300, tolerance=1e-12, seeds="verified", truncation=truncation)
    ranking = ExactRanking(rerank=(Inliers(row), diffusion), num_reranked=10)
    found = rank(queries, asked, references, vectors, 50, ranking, prepared=(None, diffusion.build(vectors)))
    heat = np.zeros(50)
    y = np.where(nodes == row, vectors[row] @ asked[0], 0)
    heat[nodes] = dense_heat(dense_graph(vectors, 9, 3.0)[np.ix_(nodes, nodes)], y)
    assert y.max() > 0.1
    np.testing.assert_allclose(found.scores[0], heat[found.ranked[0]], rtol=1e-4, atol=1e-6)


def test_only_what_may_be_found_takes_part():
    """As if the others and the query's own photo were no nodes: neither found, nor seeds, nor ways for heat."""
    queries, asked, references, vectors = scattered()
    diffusion = Diffusion(k=9, iterations=300, tolerance=1e-12)
    ranking = ExactRanking(only_tags=("even",), rerank=(diffusion,), num_reranked=10)
    queries = ImageList([Image("r4", PINHOLE), *list(queries)[1:]])
    found = rank(queries, asked, references, vectors, 50, ranking)
    for q, row in enumerate(found.ranked.tolist()):
        nodes = [r for r in range(0, 50, 2) if (q, r) != (0, 4)]
        assert sorted(r for r in row if r >= 0) == nodes
        cosines, y = (vectors[nodes] @ asked[q]).astype(float), np.zeros(len(nodes))
        first = np.argsort(-cosines)[:5]
        y[first] = np.maximum(cosines[first], 0) ** 3
        heat = dense_heat(dense_graph(vectors, 9, 3.0)[np.ix_(nodes, nodes)], y)
        np.testing.assert_allclose(found.scores[q, : len(nodes)], -np.sort(-heat), rtol=1e-4, atol=1e-6)


def test_diffusion_follows_a_manifold_where_the_cosine_jumps():
    """A query at the end of a band that turns by 80 degrees; another band comes within 50 degrees of it from aside."""
    first, other = on_circle(*np.arange(0, 81, 4)), on_circle(*np.arange(50.5, 59))
    vectors = np.vstack([np.insert(first, 2, 0, axis=1), np.insert(other, 1, 0, axis=1)])
    asked = np.array([[1, 0, 0]], np.float32)
    given = images("q", 1), asked, images("r", 30), vectors, 21
    assert (rank(*given).ranked[0] >= 21).sum() == 6  # of the other band, by cosine
    found = rank(*given, ExactRanking(rerank=(Diffusion(k=5, iterations=200, num_seeds=2),), num_reranked=5))
    assert sorted(found.ranked[0]) == list(range(21))  # also beyond the five that were asked for again


def test_the_graph_is_built_once_for_what_decides_it(tmp_path):
    bench, vectors = Workbench(Store(tmp_path)), scattered()[3]
    runs = [(Diffusion(k=7),), (Diffusion(k=7, alpha=0.5, num_seeds=4, truncation=9),), (Diffusion(k=8),)]
    graphs = [build_ranking(bench, ExactRanking(rerank=rerank), vectors).rerankers[0] for rerank in runs]
    assert [record.reused for record in bench.records] == [0, 1, 0]
    np.testing.assert_array_equal(graphs[0].weights, mutual_graph(vectors, 7, 3.0).weights)
    assert len(graphs[1].weights) == len(graphs[0].weights) < len(graphs[2].weights)
    queries, asked, references, vectors = scattered()
    ranking = ExactRanking(rerank=runs[1])
    built = rank(queries, asked, references, vectors, 9, ranking, prepared=(graphs[1],))
    np.testing.assert_array_equal(built.ranked, rank(queries, asked, references, vectors, 9, ranking).ranked)
    assert (built.ranked != rank(queries, asked, references, vectors, 9, ranking, prepared=(graphs[2],)).ranked).any()
