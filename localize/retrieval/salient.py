"""LOST: the object of a photo is where its features resemble few others and each other.

Simeoni et al., "Localizing Objects with Self-Supervised Transformers and no Labels", BMVC 2021. Features are those of
the cells of a map: (n, D), one row a cell.
"""

import numpy as np
import scipy.ndimage

MOST_CELLS = 8192  # of a map whose cells are all compared with each other: 256 MB
EPS = 1e-5  # of a layer norm


def normalised(features: np.ndarray) -> np.ndarray:
    """Features of a CNN (n, D) as LOST wants them: mean 0 and deviation 1 over all cells and channels together."""
    return (features - features.mean()) / np.sqrt(features.var() + EPS)


def seed_and_similar(similarity: np.ndarray, most: int, *, highest: bool = False) -> tuple[int, np.ndarray]:
    """The cell that resembles fewest others, and the cells S that are expanded, itself among them.

    similarity: (n, n). The degree of a cell is the number of other cells to which its similarity is positive. S: those
    of the `most` lowest degrees that are positively similar to the seed. Of equal degrees the earlier cell comes first.
    highest: the cell that resembles most others, and the highest degrees.
    """
    positive = (similarity > 0) | (similarity.T > 0)
    np.fill_diagonal(positive, False)
    degrees = positive.sum(1)
    order = np.argsort(-degrees if highest else degrees, kind="stable")
    seed, candidates = int(order[0]), order[:most]
    similar = candidates[similarity[seed, candidates] > 0]
    return seed, np.unique(np.append(similar, seed))


def component_of(mask: np.ndarray, row: int, column: int) -> np.ndarray:
    """(h, w) bool, the cells of a mask that are 4-connected with one of it."""
    labels, _ = scipy.ndimage.label(mask)
    return (labels == labels[row, column]) & mask


def salient_cells(maps: np.ndarray, most: int) -> np.ndarray:
    """(h, w) bool, the object of a photo whose map is (h, w, D): LOST, with its k = `most`."""
    height, width, dim = maps.shape
    features = normalised(maps.reshape(-1, dim).astype(np.float32))
    similarity = features @ features.T
    seed, similar = seed_and_similar(similarity, most)
    total = similarity[similar].sum(0).reshape(height, width)
    total.flat[seed] = max(total.flat[seed], np.finfo(np.float32).tiny)  # of a photo of one colour all are 0
    return component_of(total > 0, *divmod(seed, width))
