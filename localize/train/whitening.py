"""Pairs of photos that show the same place, and a whitening of global descriptors learned from them."""

import pathlib

import numpy as np

from localize.io.text import read_pairs
from localize.kernels.whitening import learned_whitening, pca_whitening
from localize.train.covisibility import seen_points, sharing_pairs
from localize.types import InputError, Map


def covisible_pairs(town: Map, min_shared: float) -> np.ndarray:
    """(P, 2) rows of the images of which the one with fewer points shares at least this share with the other."""
    point = np.repeat(np.arange(len(town.points)), np.diff(town.indptr))
    return sharing_pairs(seen_points(town.image, point, len(town.images), len(town.points)), min_shared)


def listed_pairs(path: str, folder: pathlib.Path) -> tuple[list[str], np.ndarray]:
    """(names of photos, (P, 2) rows of the names) from lines `first second`; InputError names missing photos."""
    listed = [names for _, *names in read_pairs(pathlib.Path(path))]
    rows = {name: i for i, name in enumerate(dict.fromkeys(n for names in listed for n in names))}
    missing = [f"photo {folder / name} of {path} is missing" for name in rows if not (folder / name).is_file()]
    if missing:
        raise InputError(*missing)
    return list(rows), np.array([[rows[n] for n in names] for names in listed], np.int64).reshape(-1, 2)


def whitening_of_pairs(
    vectors: np.ndarray, pairs: np.ndarray, components: int | None, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """(mean (D,), projection (D', D)) as `learned_whitening` gives them, within the `components` main components.

    None: as many as there are pairs, but no more than D. InputError without enough to learn from.
    """
    wanted = components or min(len(pairs), vectors.shape[1])
    center, main = pca_whitening(np.asarray(vectors, np.float64), wanted)
    if len(pairs) < 2 or not len(main):
        raise InputError(f"{len(pairs)} pairs of {len(vectors)} photos are too few to learn a whitening from")
    main = main / np.linalg.norm(main, axis=1, keepdims=True)  # turned, not whitened yet
    mean, projection = learned_whitening((vectors - center) @ main.T, *pairs.T, shrinkage)
    return (center + mean @ main).astype(np.float32), (projection @ main).astype(np.float32)
