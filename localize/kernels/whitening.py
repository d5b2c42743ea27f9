"""Linear maps that make global descriptors compact: PCA with whitening, and whitening learned from matching pairs."""

from collections.abc import Iterable

import numpy as np

SMALLEST = 1e-9  # added to the variance of a component, as NetVLAD's authors do (addPCA.m)
RANK = 1e-7  # components below this share of the largest variance are rounding errors
FLOOR = 1e-14  # of a variance, as HOW's authors have it
EPS = 1e-6  # added to lengths


def whitened(vectors: np.ndarray, mean: np.ndarray, projection: np.ndarray, dim: int | None = None) -> np.ndarray:
    """(N, dim) float32 of length 1 of vectors (N, D): projection (D', D) of what is left without the mean (D,)."""
    found = (np.asarray(vectors, np.float32) - mean) @ projection[:dim].T
    return found / (np.linalg.norm(found, axis=1, keepdims=True) + EPS)


def pca_whitening(vectors: np.ndarray, dim: int | None = None, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(mean (D,), projection (at most `dim`, D)) float32 that make vectors (N, D) uncorrelated, of variance 1.

    At most N - 1 components, the largest first, found from the smaller of the D x D and the N x N matrix. spread: how
    far their variances are brought to 1; with 0 they stay as they are. Jegou & Chum, ECCV 2012.
    """
    mean = vectors.mean(0, dtype=np.float64) if len(vectors) else np.zeros(vectors.shape[1])
    centered = vectors - mean
    num, size = centered.shape
    if size <= num:
        variances, directions = np.linalg.eigh(centered.T @ centered / max(num, 1))
    else:
        variances, mixtures = np.linalg.eigh(centered @ centered.T / num)
        directions = centered.T @ mixtures / np.sqrt(np.maximum(variances * num, np.finfo(float).tiny))
    order = np.argsort(-variances)[: max(0, num - 1)]
    order = order[variances[order] > RANK * max(variances.max(initial=0), 0)][:dim]
    projection = directions[:, order].T / ((variances[order] + SMALLEST) ** (spread / 2))[:, None]
    return mean.astype(np.float32), np.ascontiguousarray(projection, np.float32)


def streamed_whitening(parts: Iterable[np.ndarray], size: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """`whitening_of_moments` of all rows of the parts (N, size), one part in memory at a time."""
    count, total, squares = 0, np.zeros(size), np.zeros((size, size))
    for part in parts:
        rows = part.astype(np.float64)
        count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
    mean = total / max(1, count)
    return whitening_of_moments(mean, squares / max(1, count) - np.outer(mean, mean), dim)


def whitening_of_moments(mean: np.ndarray, covariance: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean (D,), projection (dim, D)) float32 from the mean and covariance (D, D) of more vectors than fit in memory.

    As HOW's: variances below 1e-14 count as that. Of components that are rounding errors the row is 0.
    """
    variances, directions = np.linalg.eigh(covariance)
    order = np.argsort(-variances)[:dim]
    scale = 1 / np.sqrt(np.maximum(variances[order], FLOOR))
    scale[variances[order] <= RANK * max(variances.max(), 0)] = 0
    return mean.astype(np.float32), np.ascontiguousarray((directions[:, order] * scale).T, np.float32)


def learned_whitening(
    vectors: np.ndarray, first: np.ndarray, second: np.ndarray, shrinkage: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """(mean (D,), projection (D, D)) float32 from vectors (N, D) and the rows (P,) of the two of each matching pair.

    Differences within pairs become uncorrelated, of variance 1; then the axes are those along which all vectors vary
    most. Mikolajczyk & Matas, ICCV 2007; Radenovic et al., TPAMI 2019, section 3.4, code cirtorch/utils/whiten.py.
    Needs at least D pairs. shrinkage: share of the mean variance that is put on the diagonal in place of what the
    pairs say (Ledoit & Wolf, 2004), for fewer.
    """
    vectors = np.asarray(vectors, np.float64)
    mean = vectors[first].mean(0)
    differences = vectors[first] - vectors[second]
    within = differences.T @ differences / len(differences)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / len(within) * np.eye(len(within))
    sphere = np.linalg.inv(_cholesky(within))
    spread = (vectors - mean) @ sphere.T
    values, directions = np.linalg.eigh(spread.T @ spread)
    projection = directions[:, np.argsort(-values)].T @ sphere
    return mean.astype(np.float32), projection.astype(np.float32)


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower factor; more and more is added to the diagonal of a matrix that has none."""
    added = 0.0
    while True:
        try:
            return np.linalg.cholesky(matrix + added * np.eye(len(matrix)))
        except np.linalg.LinAlgError:
            added = 10 * added or 1e-10
