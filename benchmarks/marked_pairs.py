"""Photo pairs with hand-marked correspondences (WxBS, Mishkin et al., BMVC 2015), and which matches agree with them."""

import pathlib
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator

from localize.geometry.two_view import sampson_error

TOLERANCE_PX = 3.0
SHARE = 0.9  # of the marks: within TOLERANCE_PX of one homography in a flat scene, within the warp's tolerance
LEAST_WARP_PX = 10.0  # the warp is no finer than the marks, which are a few pixels off


@dataclass(frozen=True, eq=False)
class MarkedPair:
    """Two photos and points marked in both, in COLMAP's pixels."""

    name: str
    group: str
    photos: tuple[pathlib.Path, pathlib.Path]
    first: np.ndarray  # (C, 2) float64 px
    second: np.ndarray  # (C, 2)


def read_pairs(root: pathlib.Path) -> list[MarkedPair]:
    """All pairs below a folder: <group>/<scene>/01.*, 02.* and corrs.txt with lines x1 y1 x2 y2."""
    pairs = []
    for path in sorted(root.glob("*/*/corrs.txt")):
        scene = path.parent
        photos = tuple(next(p for p in sorted(scene.glob(f"{n}.*")) if p.suffix != ".txt") for n in ("01", "02"))
        marks = np.loadtxt(path) + 0.5  # marked in matplotlib, where the centre of the upper left pixel is (0, 0)
        pairs.append(MarkedPair(scene.name, scene.parent.name, photos, marks[:, :2], marks[:, 2:]))
    return pairs


class Judge:
    """Says which matches of a pair are correct, from marked points (C, 2) of both photos, C at least 9.

    A correct match is within 3 px of the marks' geometry and near the place in the second photo to which a smooth
    warp takes its first keypoint. The geometry is one homography (error: the larger of its transfers forth and back)
    if that brings 90 % of the marks within 3 px, else the fundamental matrix of all marks (error: Sampson's distance).
    The warp is the thin-plate spline through the marks; near is what 90 % of the marks are to the spline through the
    others, but at least 10 px. It excludes matches that lie on the epipolar line by chance.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray):
        self.homography = homography(first, second)
        self.flat = bool(np.mean(self._transfer(first, second) <= TOLERANCE_PX) >= SHARE)
        self.fundamental = fundamental_matrix(first, second)
        self.warp = _spline(first, second)
        left_out = np.arange(len(first)) != np.arange(len(first))[:, None]
        found = np.concatenate([_spline(first[o], second[o])(first[~o]) for o in left_out])
        self.warp_px = max(LEAST_WARP_PX, float(np.quantile(np.linalg.norm(found - second, axis=1), SHARE)))

    def correct(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """(M,) bool of matches p, q (M, 2) px."""
        if not len(p):
            return np.zeros(0, bool)
        error = self._transfer(p, q) if self.flat else np.sqrt(sampson_error(self.fundamental, p, q))
        return (error <= TOLERANCE_PX) & (np.linalg.norm(self.warp(p) - q, axis=1) <= self.warp_px)

    def _transfer(self, p, q):
        forth = np.linalg.norm(transferred(self.homography, p) - q, axis=1)
        back = np.linalg.norm(transferred(np.linalg.inv(self.homography), q) - p, axis=1)
        return np.maximum(forth, back)


def fundamental_matrix(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """F (3, 3) of rank 2 with y^T F x = 0, from points (N, 2), N at least 8, by the normalised 8-point algorithm.

    Hartley, "In defense of the eight-point algorithm", PAMI 1997.
    """
    (a, A), (b, B) = _normalised(x), _normalised(y)
    F = _null_vector((b[:, :, None] * a[:, None, :]).reshape(-1, 9)).reshape(3, 3)
    u, d, v = np.linalg.svd(F)
    return B.T @ (u * [d[0], d[1], 0]) @ v @ A


def homography(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """H (3, 3) with y ~ H x, from points (N, 2), N at least 4, by the normalised linear method (the same paper's)."""
    (a, A), (b, B) = _normalised(x), _normalised(y)
    none = np.zeros_like(a)
    rows = np.concatenate([np.hstack([none, -a, b[:, 1:2] * a]), np.hstack([a, none, -b[:, :1] * a])])
    return np.linalg.inv(B) @ _null_vector(rows).reshape(3, 3) @ A


def transferred(H: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Points (N, 2) under a homography."""
    moved = np.column_stack([x, np.ones(len(x))]) @ H.T
    return moved[:, :2] / moved[:, 2:]


def _normalised(x):
    """Homogeneous points with mean 0 and mean distance sqrt(2), and the matrix that made them."""
    centre = x.mean(0)
    scale = np.sqrt(2) / np.linalg.norm(x - centre, axis=1).mean()
    T = np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1]])
    return np.column_stack([x, np.ones(len(x))]) @ T.T, T


def _null_vector(rows):
    return np.linalg.svd(rows)[2][-1]


def _spline(first, second):
    return RBFInterpolator(first, second, kernel="thin_plate_spline")
