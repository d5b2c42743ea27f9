"""Patches of photos of one flat scene whose homographies are known, as in the sequences of HPatches."""

import numpy as np

from localize.train.patches.from_photos import Homographies, agreeing, detect, distinct
from localize.train.patches.sets import PatchSet, cut, stretched
from localize.train.photos.homographies import transfer


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
