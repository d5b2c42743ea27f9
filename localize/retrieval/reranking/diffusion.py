"""Diffusion: a query's nearest references, or those that were verified, spread heat over the graph of all references.

What lies on one manifold with them is found, however unlike the query it is. Iscen et al., CVPR 2017; with verified
seeds: Simeoni, Avrithis & Chum, "Local features and visual words emerge in activations", CVPR 2019, section 4.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_matrix

from localize.components import LARGEST, check_component, query_field
from localize.kernels.rows import as_stored, read_rows
from localize.retrieval.base import RankingSources
from localize.retrieval.reranking.neighbour_graph import NeighbourGraph, diffused, mutual_graph
from localize.types import InputError, Retrieval

BLOCK = 1024  # vectors copied as float32 at a time
NUM_VERIFIED = 10  # best references of which verified seeds are taken


@dataclass(frozen=True)
class Diffusion:
    """All references that a query may find come into another order, also those beyond `ranking.num_reranked`."""

    k: int = 50  # nearest references of each, itself among them; an edge of the graph goes both ways
    gamma: float = 3.0  # power of a similarity, as the weight of an edge and as a seed's heat
    alpha: float = query_field(0.99)  # share of the heat that goes on
    iterations: int = query_field(20)  # of conjugate gradients, at most
    tolerance: float = query_field(1e-6)  # of the residual, relative to the seeds' heat
    seeds: str = query_field("nearest")  # nearest, or verified: by inliers, the scores of the re-ranker before it
    num_seeds: int = query_field(5)  # 5 in the paper, 4 in the published code
    truncation: int | None = query_field(10_000)  # heat spreads among so many nearest and the seeds; None: among all

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        check_component(
            self,
            positive=("gamma", "iterations", "tolerance", "num_seeds", "truncation"),
            shares=("alpha",),
            choices={"seeds": ("nearest", "verified")},
            ranges={"k": (2, LARGEST)},
        )

    def build(self, vectors: np.ndarray) -> NeighbourGraph:
        """The graph of vectors (R, D) float32 or float16, possibly memory-mapped."""
        return mutual_graph(vectors, self.k, self.gamma)

    def rerank(self, ranking: Retrieval, sources: RankingSources) -> Retrieval:
        """The references by their heat, which is their score; of equal heat (0 where none comes) as they were before.

        What a query may not find has no part in it: no heat goes through it. Without a graph one is built now.
        InputError if seeds are to be verified and the scores are no numbers of inliers.
        """
        graph = sources.built if sources.built is not None else self.build(sources.reference_vectors)
        weights = graph.matrix()
        ranked, scores = np.full_like(ranking.ranked, -1), np.full_like(ranking.scores, -np.inf)
        for q, (rows, before) in enumerate(zip(ranking.ranked, ranking.scores, strict=True)):
            findable, known = sources.findable(q), rows >= 0
            if not known.any():
                continue
            cosines = np.full(len(graph), -np.inf, np.float32)
            cosines[findable] = similarities(sources.reference_vectors, findable, sources.query_vectors[q])
            given = rows[known]
            heat = self._heat(weights, findable, cosines, *self._seeds(given, before[known], cosines[given]))
            place = np.full(len(graph), len(rows))
            place[given] = np.arange(len(given))
            order = findable[np.lexsort((-cosines[findable], place[findable], -heat[findable]))][: len(rows)]
            ranked[q, : len(order)], scores[q, : len(order)] = order, heat[order]
        return Retrieval(ranking.query_names, ranking.reference_names, ranked, scores)

    def _seeds(self, rows: np.ndarray, scores: np.ndarray, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The seeds' rows and heat, of references as ranked before, their scores there and their cosines.

        Verified: (inliers / most inliers) x cosine of the best, without a power; by the inliers alone where all of that
        is 0. Where no image was verified, the nearest stand in.
        """
        heat = np.maximum(cosines, 0).astype(np.float64) ** self.gamma
        if self.seeds == "verified":
            best = scores[:NUM_VERIFIED]
            other = best[(best < 0) | ((best > 0) & (best < 1))]
            if len(other):
                raise InputError(
                    "Diffusion.seeds=verified takes the scores of the re-ranker before it for numbers of inliers, but "
                    f"found {other[0]:.3g}: put dsm right before it, as +reranking=dsm_diffusion does"
                )
            inliers = np.floor(best).astype(np.float64)  # the rest of a score breaks ties
            if inliers.any():
                share = inliers / inliers.max()
                both = share * np.maximum(cosines[:NUM_VERIFIED], 0)
                rows, heat = rows[:NUM_VERIFIED], both if both.any() else share
        first = np.argsort(-heat, kind="stable")[: self.num_seeds]
        return rows[first], heat[first]

    def _heat(self, weights: csr_matrix, findable, cosines, seeds, of_seeds) -> np.ndarray:
        """(R,) float64 of all references; 0 where heat may not go."""
        nodes, heat = findable, np.zeros(len(cosines))
        if self.truncation is not None and len(nodes) > self.truncation:
            nearest = np.argpartition(-cosines, self.truncation - 1)[: self.truncation]
            nodes = np.union1d(nearest, seeds)
        heat[seeds] = of_seeds
        if len(nodes) < len(cosines):
            weights = weights[nodes][:, nodes]
        heat[nodes] = diffused(weights, heat[nodes], self.alpha, self.iterations, self.tolerance)
        return heat


def similarities(vectors: np.ndarray, rows: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Dot products (N,) float32 of these rows of vectors (R, D), float32 or float16, with asked (D,) float32."""
    if vectors.dtype == np.float32 and 2 * len(rows) > len(vectors):  # quicker than to copy most of them
        return (np.asarray(vectors) @ asked)[rows]
    stored, half = as_stored(vectors)
    products, block = np.empty(len(rows), np.float32), np.empty((BLOCK, len(asked)), np.float32)
    for at in range(0, len(rows), BLOCK):
        part = rows[at : at + BLOCK]
        read_rows(stored, half, part, block)
        products[at : at + BLOCK] = block[: len(part)] @ asked
    return products
