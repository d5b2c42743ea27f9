"""Patches of photos of one flat scene whose homographies are known, as in the sequences of HPatches.

Balntas et al., CVPR 2017: photos 1 to 6 and files H_1_2 to H_1_6, three lines of three numbers, which map pixels of
photo 1 to those of photo k.
"""

import pathlib

import numpy as np

from localize.io.images import SUFFIXES, read_photo
from localize.train.from_photos import Homographies, agreeing, detect, distinct
from localize.train.homographies import transfer
from localize.train.patch_sets import PatchSet, cut, stretched
from localize.types import InputError

HALF_PIXEL = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # the files count from the centre of the first pixel


def read_sequence(folder: pathlib.Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Grey photos 1 to 6 (H, W) uint8 and the homographies (3, 3) from the first to each, in COLMAP's pixels."""
    photos, homographies = [], []
    for k in range(1, 7):
        found = [p for p in sorted(folder.glob(f"{k}.*")) if p.suffix.lower() in SUFFIXES]
        if not found:
            raise InputError(f"{folder} has no photo {k}: name folders of single sequences, which have photos 1 to 6")
        photos.append(read_photo(found[0], grey=True))
        homographies.append(
            np.eye(3) if k == 1 else HALF_PIXEL @ _matrix(folder / f"H_1_{k}") @ np.linalg.inv(HALF_PIXEL)
        )
    return photos, homographies


def sequence_patches(photos, homographies, feature, *, coefficient: float = 13.0, seed: int = 0) -> PatchSet:
    """Patches (N, 64, 64) of the keypoints of photo 1 that are detected again in others, with the limits of
    Homographies."""
    limits = Homographies(coefficient=coefficient, seed=seed)
    first = distinct(detect(feature, photos[0]), np.random.default_rng(seed))
    patches, points = [], []
    for k, (photo, homography) in enumerate(zip(photos, homographies, strict=True)):
        places, of = first, np.arange(len(first))
        if k:
            detected = detect(feature, photo)
            of, row = agreeing(transfer(homography, first), detected, limits)
            places = detected[row]
        found, rows = cut(photo, places, coefficient)
        patches.append(stretched(found))
        points.append(of[rows])
    return PatchSet(np.concatenate(patches), np.concatenate(points))


def _matrix(path: pathlib.Path) -> np.ndarray:
    try:
        matrix = np.loadtxt(path)
    except (OSError, ValueError) as e:
        raise InputError(f"homography {path} cannot be read ({e}): it must hold three lines of three numbers") from e
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(f"homography {path} is no invertible matrix of three lines of three numbers")
    return matrix
