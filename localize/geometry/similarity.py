"""The similarity between two frames in which the poses of some photos are known: robust, with or without the scale.

Rotation and centres are fitted together (Kabsch; scale and translation as in Umeyama, "Least-squares estimation of
transformation parameters between two point patterns", PAMI 1991), after RANSAC over pairs of photos, as the poses say
the rotation too.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.geometry.poses import nearest_rotation
from localize.types import Pose

PAIRS = 2000  # of photos that RANSAC tries at most
ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Similarity:
    """X_to = scale rotation X_from + translation."""

    scale: float
    rotation: np.ndarray  # (3, 3) float64
    translation: np.ndarray  # (3,) float64, in the unit of the frame that it leads to

    def of_pose(self, pose: Pose) -> Pose:
        """cam_from_to of a cam_from_from; lengths in the camera are scaled too."""
        rotation = nearest_rotation(pose.rotation @ self.rotation.T)
        return Pose(rotation, -rotation @ self.of_points(pose.center))

    def of_points(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) points."""
        return self.scale * points @ self.rotation.T + self.translation

    def after(self, first: "Similarity") -> "Similarity":
        """The similarity that applies `first`, then this one."""
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, self.of_points(first.translation))


@dataclass(frozen=True, eq=False)
class FittedSimilarity:
    """A similarity, which photos agree with it, and how far these are off."""

    similarity: Similarity
    inliers: np.ndarray  # (N,) bool
    off: np.ndarray  # (N,) distance of the centres of all
    off_deg: np.ndarray  # (N,)
    scale_sd: float  # relative; infinite where the centres are in one place


def fit_similarity(
    to: Sequence[Pose], of: Sequence[Pose], limit: float, limit_deg: float, *, scale: float | None = None
) -> FittedSimilarity | None:
    """From poses of the same N photos in two frames. limit, limit_deg: of a photo that agrees; scale: if it is known.

    None for fewer than two photos, or if all are in one place and the scale is not known.
    """
    a, b, best = _Cameras(to), _Cameras(of), (-1.0, None)
    for i, j in _pairs(len(to)):
        guess = _of_two(a, b, i, j, scale)
        if guess is not None:
            off, off_deg = _residuals(guess, a, b)
            quality = np.maximum(0, 1 - (off / limit) ** 2 - (off_deg / limit_deg) ** 2).sum()  # MSAC
            best = max(best, (float(quality), guess), key=lambda found: found[0])
    found = best[1]
    if found is None:
        return None
    for _ in range(ROUNDS):
        off, off_deg = _residuals(found, a, b)
        own = np.flatnonzero((off < limit) & (off_deg < limit_deg))
        if len(own) < 2:
            break
        found = _fitted(a, b, own, limit / np.radians(limit_deg), scale)
    off, off_deg = _residuals(found, a, b)
    inliers = (off < limit) & (off_deg < limit_deg)
    return FittedSimilarity(found, inliers, off, off_deg, _scale_sd(a.centers[inliers], off[inliers]))


class _Cameras:
    """Poses as arrays: rotations (N, 3, 3), cam_from_world, and centres (N, 3)."""

    def __init__(self, poses: Sequence[Pose]):
        self.rotations = np.array([pose.rotation for pose in poses]).reshape(-1, 3, 3)
        self.centers = np.array([pose.center for pose in poses]).reshape(-1, 3)


def _pairs(number: int) -> list[tuple[int, int]]:
    """Of photos in both orders, all or some."""
    pairs = list(itertools.permutations(range(number), 2))
    if len(pairs) <= PAIRS:
        return pairs
    return [pairs[k] for k in np.random.default_rng(0).choice(len(pairs), PAIRS, replace=False)]


def _of_two(a: _Cameras, b: _Cameras, i: int, j: int, scale: float | None) -> Similarity | None:
    """By the pose of photo i and its distance to j; None where that is none."""
    if scale is None:
        apart, there = (np.linalg.norm(c.centers[i] - c.centers[j]) for c in (b, a))
        if not (apart > 0 and there > 0):
            return None
        scale = there / apart
    rotation = a.rotations[i].T @ b.rotations[i]
    return Similarity(float(scale), rotation, a.centers[i] - scale * rotation @ b.centers[i])


def _residuals(similarity: Similarity, a: _Cameras, b: _Cameras) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the centres (N,) and angles between the orientations (N,) deg."""
    off = np.linalg.norm(a.centers - similarity.of_points(b.centers), axis=1)
    chord = np.linalg.norm(a.rotations - b.rotations @ similarity.rotation.T, axis=(1, 2)) / (2 * np.sqrt(2))
    return off, 2 * np.degrees(np.arcsin(np.minimum(1, chord)))


def _fitted(a: _Cameras, b: _Cameras, own: np.ndarray, weight: float, scale: float | None) -> Similarity:
    """Least squares over centres and orientations; weight: length that counts as much as one radian."""
    middle_a, middle_b = a.centers[own].mean(0), b.centers[own].mean(0)
    to, of = a.centers[own] - middle_a, b.centers[own] - middle_b
    size = np.linalg.norm(to) / max(np.linalg.norm(of), 1e-300) if scale is None else scale
    turned = np.einsum("nji,njk->ik", a.rotations[own], b.rotations[own])
    rotation = nearest_rotation(size * to.T @ of + weight**2 * turned)
    if scale is None:
        size = float((to * (of @ rotation.T)).sum() / max((of**2).sum(), 1e-300))
    return Similarity(float(size), rotation, middle_a - size * rotation @ middle_b)


def _scale_sd(centers: np.ndarray, off: np.ndarray) -> float:
    """Of the centres' distances to their middle, and of how far they are off."""
    if len(centers) < 2:
        return np.inf
    spread = np.linalg.norm(centers - centers.mean(0))
    return float(np.linalg.norm(off) / np.sqrt(len(centers) - 1) / spread) if spread > 0 else np.inf
