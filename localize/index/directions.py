"""The directions along which the tests of random trees look: those in which points differ most for the noise that their
observations have.

Fisher's discriminant: the largest generalised eigenvalues of the covariance of the items and that of the differences
between two observations of one point. Noise along two of them is uncorrelated, so the probabilities of tests multiply.
"""

import numpy as np
from scipy.linalg import eigh

from localize.index.bits import sample_rows
from localize.kernels.codes import first_and_last_rows, project_rows
from localize.kernels.rows import as_stored
from localize.types import PointRows

MOST = 64  # directions; a tree looks along each once at most on its way to a leaf
STEP = 64  # values along a direction are counted in this part of the noise's standard deviation
SAMPLE = 50_000  # items and pairs of observations looked at
FARTHEST = 32_000  # of values, so that they fit 16 bits
SHRINK = 0.3  # share of noise that is alike in all directions: queries of another time differ in other ways than these
FEWEST = 10  # pairs for each value of a descriptor; of fewer, the noise is taken to be alike in all directions


def learn_directions(descriptors: np.ndarray, rows: PointRows) -> np.ndarray:
    """Directions (D, K) float32, K <= MOST, most telling first, for items (N, D) that were made of these rows.

    A value along one is in units of 1 / STEP of the standard deviation between two observations of a point; where no
    point was seen twice, of that between items.
    """
    between = np.atleast_2d(np.cov(sample_rows(descriptors, SAMPLE), rowvar=False, bias=True))
    dim = len(between)
    difference = _differences(rows)
    within = difference.T @ difference / max(1, len(difference))
    alike = np.trace(within if len(difference) else between) / dim * np.eye(dim)
    shrink = SHRINK if len(difference) >= FEWEST * dim else 1.0
    within = (1 - shrink) * within + shrink * alike + 1e-12 * np.eye(dim)
    _, vectors = eigh(between, within, subset_by_index=(max(0, dim - MOST), dim - 1))
    vectors = vectors[:, ::-1]
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(vectors.shape[1])])  # eigh leaves them open
    return np.ascontiguousarray(STEP * signs * vectors, np.float32)


def _differences(rows: PointRows) -> np.ndarray:
    """Between the first and the last row of points seen twice (P, D) float64, of at most SAMPLE, spread evenly."""
    first, last = np.empty((2, len(rows.points)), np.int32)
    first_and_last_rows(np.asarray(rows.point), first, last)
    twice = np.flatnonzero(first != last)
    twice = twice[:: max(1, len(twice) // SAMPLE)]
    return np.asarray(rows.descriptors[first[twice]], np.float64) - np.asarray(
        rows.descriptors[last[twice]], np.float64
    )


def along(directions: np.ndarray, descriptors: np.ndarray) -> np.ndarray:
    """Where descriptors (N, D) lie along directions (D, K), (N, K) int16; one like the other whatever it comes with."""
    values = np.empty((len(descriptors), directions.shape[1]), np.float32)
    project_rows(*as_stored(descriptors), np.asarray(directions), values)
    return np.clip(np.rint(values), -FARTHEST, FARTHEST).astype(np.int16)
