"""The graph of references that are among the nearest of each other, and how heat spreads over it.

Iscen, Tolias, Avrithis, Furon & Chum, "Efficient diffusion on region manifolds", CVPR 2017; the details are those of
the authors' published code.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, cg

from localize.retrieval.exact import exact_search
from localize.types.checks import check_array, check_finite, check_indptr, check_range

AT_ONCE = 8192  # references whose neighbours are searched together


@dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """Symmetric weights between R references. Edges of reference i: rows indptr[i] to indptr[i + 1]."""

    indptr: np.ndarray  # (R + 1,) int64
    neighbours: np.ndarray  # (E,) int32, ascending for each reference, never itself
    weights: np.ndarray  # (E,) float32 > 0

    def __post_init__(self):
        check_array(self, "indptr", np.int64, (None,))
        edges = len(check_array(self, "neighbours", np.int32, (None,)))
        check_array(self, "weights", np.float32, (edges,))
        check_finite(self, "weights")
        check_indptr(self, "indptr", edges)
        check_range(self, "neighbours", 0, len(self))

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def matrix(self) -> csr_matrix:
        """(R, R) float64."""
        return csr_matrix((self.weights.astype(np.float64), self.neighbours, self.indptr), (len(self), len(self)))


def mutual_graph(vectors: np.ndarray, k: int, gamma: float) -> NeighbourGraph:
    """Edges between those of vectors (R, D) that are both among the k nearest of the other, by dot product s, exactly.

    A vector counts among its own k. The weight is s^gamma, and there is no edge where s is not positive. vectors:
    float32 or float16, possibly memory-mapped; of these a block is in memory, beside 8 k bytes for each.
    """
    count, k = len(vectors), min(k, len(vectors))
    found, weights = np.empty((count, k), np.int32), np.empty((count, k), np.float32)
    for at in range(0, count, AT_ONCE):
        part = slice(at, at + AT_ONCE)
        similarities, found[part] = exact_search(vectors, vectors[part], k)
        weights[part] = np.maximum(similarities, 0) ** np.float32(gamma)
    weights[found == np.arange(count)[:, None]] = 0
    nearest = csr_matrix((weights.ravel(), found.ravel(), np.arange(count + 1) * k), (count, count))
    del found, weights
    nearest.eliminate_zeros()
    nearest.sort_indices()
    mutual = nearest.minimum(nearest.T.tocsr())  # what is in one of them only is 0 there
    mutual.sort_indices()
    return NeighbourGraph(mutual.indptr, mutual.indices, mutual.data)


def diffused(weights: csr_matrix, heat: np.ndarray, alpha: float, iterations: int, tolerance: float) -> np.ndarray:
    """(N,) float64: f of (I - alpha S) f = heat by conjugate gradients, S = D^-1/2 weights D^-1/2, D the rows' sums.

    weights (N, N) symmetric; heat (N,). It stops after so many iterations, or where the residual is `tolerance` of the
    heat's length. An isolated node's row of S is 0 (in the published code D^-1/2 is infinite there).
    """
    sums = np.asarray(weights.sum(1)).ravel()
    scale = np.divide(1, np.sqrt(sums), out=np.zeros(len(sums)), where=sums > 0)
    kept = LinearOperator(weights.shape, lambda f: f - alpha * scale * (weights @ (scale * f)), dtype=np.float64)
    return cg(kept, heat, rtol=tolerance, atol=0, maxiter=iterations)[0]
