"""Patches of single photos: each photo is warped and its light changed, and its keypoints are looked for again.

After Altwaijry et al. and DeTone et al. (CVPRW 2018, "homographic adaptation"), but for the labels: keypoints are
detected in every version anew, so the noise of the detector is real.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image
from scipy.spatial import cKDTree

from localize.components import check_component
from localize.features.base import LocalFeature
from localize.io.benchmarks.phototour import SIDE
from localize.train.patches.sets import PatchSet, cut, stretched
from localize.train.photos.homographies import Keypoints, random_homography, squares_inside, transfer, warp
from localize.train.photos.photometric import random_change
from localize.types import InputError

GREY = np.array([0.299, 0.587, 0.114], np.float32)
SAME_PX = 3.0  # keypoints nearer than this, or than their own scale,
SAME_RATIO = 2.0  # and of scales within this factor, are one point
MILD = 0.3  # strength of a change of the original
SEEN = 0.4  # correlation with the patch in unchanged light below which too little is left to see,
SEEN_UNDETECTED = 0.6  # and where no detector vouches for it


@dataclass(frozen=True)
class Homographies:
    """Patches of one photo under random homographies and changes of light.

    A keypoint of a version shows the same point as a keypoint of the original if each is the other's nearest and they
    agree in place, scale and orientation. Where so little is found again (a dark version) that less than `dark_share`
    of the visible keypoints have a partner, others are cut where they should be, with a jitter of the size of the
    detector's: position 0.05 of half the square (truncated at twice that), scale 6 %, orientation 4 degrees; only those
    of scales that are still detected there, as blur takes the small ones. A patch in which too little is left to see is
    dropped. So is a point then left with one patch.
    """

    versions: int = 4  # of each photo, beside the original
    max_points: int = 600  # of each photo, at random
    night_share: float = 0.4  # of the versions
    original_share: float = 0.3  # of the originals change too, but mildly
    dark_share: float = 0.3
    max_size_px: int = 1024  # larger photos are shrunk to this longer side
    rotation_deg: float = 25.0
    min_scale: float = 0.6
    max_scale: float = 1.6
    shear: float = 0.2  # tangent
    perspective: float = 0.25  # change of depth from the centre to the edge, as a share
    max_error_px: float = 2.0  # between a keypoint and the transferred one,
    max_error_sigma: float = 1.0  # and in units of its scale: beyond, keypoints of small scale meet others by chance
    max_scale_ratio: float = 1.3
    max_turn_deg: float = 25.0
    coefficient: float = 13.0  # side of a patch in units of the keypoint's scale
    seed: int = 0

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        positive = (
            "versions",
            "max_points",
            "max_size_px",
            "min_scale",
            "max_scale",
            "max_error_px",
            "max_error_sigma",
        )
        positive += ("max_scale_ratio", "max_turn_deg", "coefficient")
        check_component(self, positive=positive)
        for name, holds, limit in (
            ("max_scale_ratio", self.max_scale_ratio > 1, "greater than 1"),
            ("perspective", self.perspective <= 0.5, "at most 0.5: beyond, a corner of the photo may lie behind us"),
            ("max_scale", self.max_scale >= self.min_scale, f"at least min_scale, {self.min_scale}"),
        ):
            if not holds:
                raise InputError(f"Homographies.{name} is {getattr(self, name)!r}, but must be {limit}")

    def patches(self, photo: np.ndarray, feature, number: int = 0) -> PatchSet:
        """Patches (N, 64, 64) and points of an RGB photo (H, W, 3) uint8; `number` is the photo's, for the seed.

        feature: a local feature with `extract`, whose keypoints have scale and orientation; InputError if not.
        """
        rng = np.random.default_rng((self.seed, number))
        photo = self._shrunk(photo)
        shown = random_change(photo, rng, MILD, 0) if rng.random() < self.original_share else photo
        original = _grey(shown)
        keypoints = distinct(detect(feature, original), rng)
        patches, rows = cut(original, keypoints, self.coefficient)
        keypoints, found = keypoints[rows], [(stretched(patches), np.arange(len(rows)))]
        for _ in range(self.versions):
            found.append(self._version(photo, keypoints, feature, rng))
        points = np.concatenate([point for _, point in found])
        several = np.flatnonzero(np.bincount(points, minlength=len(keypoints)) > 1)
        chosen = rng.permutation(several)[: self.max_points]
        name = np.full(len(keypoints), -1)
        name[chosen] = np.arange(len(chosen))
        kept = name[points] >= 0
        return PatchSet(np.concatenate([p for p, _ in found])[kept], name[points[kept]])

    def _shrunk(self, photo: np.ndarray) -> np.ndarray:
        picture = PIL.Image.fromarray(photo)
        picture.thumbnail((self.max_size_px, self.max_size_px), PIL.Image.Resampling.LANCZOS)
        return np.asarray(picture)

    def _version(self, photo: np.ndarray, keypoints: Keypoints, feature, rng) -> tuple[np.ndarray, np.ndarray]:
        """(patches (M, 64, 64) uint8, their points (M,)) of one version of the photo."""
        size = photo.shape[1::-1]
        homography = random_homography(
            rng,
            size,
            rotation_deg=self.rotation_deg,
            scale=(self.min_scale, self.max_scale),
            shear=self.shear,
            perspective=self.perspective,
        )
        unchanged = warp(photo, homography)
        grey = _grey(random_change(unchanged, rng, night_share=self.night_share))
        expected = transfer(homography, keypoints)
        visible = np.flatnonzero(squares_inside(expected, self.coefficient, homography, size))
        detected = detect(feature, grey)
        detected = detected[squares_inside(detected, self.coefficient, homography, size)]
        which, row = agreeing(expected[visible], detected, self)
        points, places = visible[which], detected[row]
        least = np.full(len(points), SEEN)
        lacking = round(self.dark_share * len(visible)) - len(points)
        if lacking > 0:
            finest = np.quantile(detected.scales, 0.25) if len(detected) else np.inf
            others = np.setdiff1d(visible, points)
            others = rng.permutation(others[expected.scales[others] >= finest])[:lacking]
            jittered = _jittered(expected[others], self.coefficient, rng)
            inside = squares_inside(jittered, self.coefficient, homography, size)
            points, places = np.concatenate([points, others[inside]]), _joined(places, jittered[inside])
            least = np.concatenate([least, np.full(inside.sum(), SEEN_UNDETECTED)])
        patches, rows = cut(grey, places, self.coefficient)
        reference, _ = cut(_grey(unchanged), places, self.coefficient)
        seen = np.flatnonzero(_correlation(patches, reference) >= least[rows])
        return stretched(patches[seen]), points[rows[seen]]


def agreeing(expected: Keypoints, detected: Keypoints, limits: Homographies) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `expected` and of `detected` that are each other's nearest among those that agree within the limits."""
    pairs = cKDTree(expected.xy).query_ball_tree(cKDTree(detected.xy), limits.max_error_px) if len(detected) else []
    i = np.repeat(np.arange(len(pairs)), [len(p) for p in pairs])
    j = np.array([row for p in pairs for row in p], np.int64)
    apart = np.linalg.norm(expected.xy[i] - detected.xy[j], axis=1) / limits.max_error_px
    ratio = np.abs(np.log(expected.scales[i] / detected.scales[j])) / np.log(limits.max_scale_ratio)
    angle = np.angle(np.exp(1j * (expected.orientations[i] - detected.orientations[j])))
    turn = np.abs(angle) / np.radians(limits.max_turn_deg)
    fits = (ratio <= 1) & (turn <= 1) & (apart * limits.max_error_px <= limits.max_error_sigma * expected.scales[i])
    i, j, distance = i[fits], j[fits], (apart**2 + ratio**2 + turn**2)[fits]
    nearest = []
    for side in (i, j):
        order = np.lexsort((distance, side))
        first = np.zeros(len(order), bool)
        first[order[np.unique(side[order], return_index=True)[1]]] = True
        nearest.append(first)
    both = nearest[0] & nearest[1]
    return i[both], j[both]


def _grey(photo: np.ndarray) -> np.ndarray:
    return np.rint(photo @ GREY).astype(np.uint8)


def check_extracts(feature) -> None:
    """InputError for features that lie in a file."""
    if not isinstance(feature, LocalFeature):
        raise InputError(f"{type(feature).__name__} finds no keypoints in new photos: take feature=sift")


def detect(feature, grey: np.ndarray) -> Keypoints:
    """Keypoints of a photo (H, W) uint8; InputError if they have no shape."""
    found = feature.extract(grey)
    if found.scales is None or found.orientations is None:
        raise InputError(f"keypoints of {type(feature).__name__} have no scale and orientation: take feature=sift")
    return Keypoints(*(a.astype(np.float64) for a in (found.keypoints, found.scales, found.orientations)))


def distinct(keypoints: Keypoints, rng) -> Keypoints:
    """One of several keypoints that show nearly the same, whatever their orientation: they are no two points."""
    near = cKDTree(keypoints.xy).query_ball_point(keypoints.xy, np.maximum(SAME_PX, keypoints.scales))
    kept = np.zeros(len(keypoints), bool)
    for i in rng.permutation(len(keypoints)):
        others = np.array(near[i])
        ratio = np.abs(np.log(keypoints.scales[others] / keypoints.scales[i]))
        kept[i] = not kept[others[ratio < np.log(SAME_RATIO)]].any()
    return keypoints[kept]


def _jittered(keypoints: Keypoints, coefficient: float, rng) -> Keypoints:
    n = len(keypoints)
    away = (0.05 * coefficient / 2) * rng.normal(size=(n, 2)).clip(-2, 2) * keypoints.scales[:, None]
    scales = keypoints.scales * np.exp(rng.normal(0, 0.06, n))
    return Keypoints(keypoints.xy + away, scales, keypoints.orientations + np.radians(rng.normal(0, 4, n)))


def _joined(a: Keypoints, b: Keypoints) -> Keypoints:
    return Keypoints(*(np.concatenate([getattr(a, f), getattr(b, f)]) for f in ("xy", "scales", "orientations")))


def _correlation(patches: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) of patches (N, S, S) with others, at a quarter of the side, so that noise does not count."""
    n, side = len(patches), SIDE // 4
    a, b = (p.reshape(n, side, 4, side, 4).mean((2, 4)).reshape(n, side * side) for p in (patches, others))
    a, b = (p - p.mean(1, keepdims=True) for p in (a, b))
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1) + 1e-6)
