"""Spatial verification of two photos by the regions of their activation maps (deep spatial matching).

Simeoni, Avrithis & Chum, "Local features and visual words emerge in activations", CVPR 2019, section 4. Regions of one
channel are tentative matches; each gives an affine map without rotation, and the one with most inliers is refined.
"""

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from localize.components import check_component
from localize.kernels.spatial_matching import match_levels
from localize.types import Regions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpatialSettings:
    """How two photos are verified. Defaults are the paper's where its authors' code differs, but for `error`."""

    shape: str = "paper"  # ellipses as they are, or `official`: with square-rooted deviations, as the code has them
    error: str = "sq_sym_sum"  # squared distances there and back sum to < threshold_cells, or max_px: each is below it
    threshold_cells: float = 2.0  # cells^2 of the sum (the code), cells of each distance (the paper)
    max_scale_change: float = 3.0  # by which a match's change of size may differ from the whole's
    max_tentative: int = 5000  # tentative matches of two levels; the strongest are kept

    def __post_init__(self):
        check_component(
            self,
            positive=("threshold_cells", "max_tentative"),
            choices={"shape": ("paper", "official"), "error": ("sq_sym_sum", "max_px")},
            ranges={"max_scale_change": (1, 1000)},
        )


class Verified(NamedTuple):
    """What two photos have in common."""

    score: float  # inliers, plus at most 0.5 that breaks ties by the residuals; 0: fewer than 3
    pairs: np.ndarray  # (M, 2) int32, inliers: rows of the query's and of the reference's regions, one to one
    affine: np.ndarray  # (2, 3) float64, from cells of the query's level to cells of the reference's; zeros if none
    levels: tuple[int, int]  # of the query and of the reference, whose inliers they are; (-1, -1) if none


def verify(query: Regions, reference: Regions, settings: SpatialSettings) -> Verified:
    """The affine map with most inliers, over all pairs of levels. One thread, without the GIL; deterministic.

    More tentative matches than `max_tentative` are cut to those of the highest product of strengths, and logged.
    """
    limit = settings.threshold_cells if settings.error == "sq_sym_sum" else settings.threshold_cells**2
    change = settings.max_scale_change**2 if settings.shape == "paper" else settings.max_scale_change
    rules = np.array([limit, settings.error == "max_px", 1 / change, change, settings.max_tentative])
    (asked, rows), (found, other) = _prepared(query, settings.shape), _prepared(reference, settings.shape)
    score, affine, pairs, levels, num_cut = match_levels(*asked, *found, rules)
    if num_cut:
        log.info("%d pairs of scales had more than %d tentative matches", num_cut, settings.max_tentative)
    pairs = np.column_stack((rows[pairs[:, 0]], other[pairs[:, 1]])).astype(np.int32)
    return Verified(score, pairs, affine[[0, 1, 4, 2, 3, 5]].reshape(2, 3), tuple(levels.tolist()))


def _prepared(regions: Regions, shape: str) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """(rows for the kernel, ends of the levels, channels) and which of the regions they are."""
    factors = _factors(regions.covariances.astype(np.float64), shape)
    rows = np.flatnonzero(np.isfinite(factors).all(axis=1))
    factors = factors[rows]
    determinants = factors[:, 0] * factors[:, 2]
    table = np.column_stack((regions.centers[rows], factors, determinants, regions.strengths[rows]))
    ends = np.searchsorted(regions.levels[rows], np.arange(len(regions.sizes)), side="right")
    return (table, ends, regions.channels[rows]), rows


def _factors(covariances: np.ndarray, shape: str) -> np.ndarray:
    """(N, 3) float64, 11, 21, 22 of the lower triangular matrix that takes the unit circle to each ellipse.

    `paper`: the Cholesky factor of the covariance. `official`: what the authors' code makes of that factor's inverse,
    which it takes for the inverse of the covariance: of a circle the root of its deviation; NaN of some flat ellipses.
    """
    xx, xy, yy = covariances.T
    s11, s21, s22 = np.sqrt(xx), xy / np.sqrt(xx), np.sqrt((xx * yy - xy * xy) / xx)
    if shape == "official":
        r11, r21, r22 = 1 / s11, -s21 / (s11 * s22), 1 / s22
        with np.errstate(divide="ignore", invalid="ignore"):
            s11 = 1 / np.sqrt(r11 - r21 * r21 / r22)
        s22 = 1 / np.sqrt(r22)
        s21 = -r21 * s22 * s22 * s11
    return np.column_stack((s11, s21, s22))
