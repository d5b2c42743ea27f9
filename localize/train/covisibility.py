"""Which photos of a map see the same points."""

import numpy as np
import scipy.sparse


def seen_points(image: np.ndarray, point: np.ndarray, num_images: int, num_points: int) -> scipy.sparse.csr_array:
    """(images, points) int32, 1 where an image sees a point, of observations (M,); one may come several times."""
    sees = scipy.sparse.csr_array((np.ones(len(point), np.int32), (image, point)), (num_images, num_points))
    sees.data[:] = 1
    return sees


def sharing_pairs(sees: scipy.sparse.csr_array, min_shared: float) -> np.ndarray:
    """(P, 2) int64 images of which the one with fewer points shares at least this share with the other, by row."""
    shared = (sees @ sees.T).tocoo()
    fewer = np.minimum(*sees.sum(1)[np.stack(shared.coords)])
    wanted = (shared.coords[0] < shared.coords[1]) & (shared.data >= min_shared * fewer)
    return np.stack(shared.coords, axis=1)[wanted].astype(np.int64)
