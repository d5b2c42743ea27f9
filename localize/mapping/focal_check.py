"""Whether the focal lengths given for the references of a map are right: their matches and known poses tell.

A match's distance from its epipolar line depends on the focal length alone, as the poses are known. Measured with SIFT
features: with the right focal length no other one lowers the cost by more than 1.1 % (7-Scenes' RedKitchen, whose poses
drift; 0 % for South Building, fountain-P11 and Herz-Jesu-P25), with one 11 % too long by 23 to 111 %.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import camera_rays
from localize.geometry.two_view import essential_matrix, sampson_error
from localize.types import Camera, ImageList, PairMatches

PAIRS, MATCHES = 60, 200  # looked at, per camera and per pair
LEAST_MATCHES, LEAST_PAIRS = 8, 5
SCALE_SHARE = 2 / 1600  # of the longer side: errors beyond it count less and less
COARSE = 1.1 ** np.arange(-7, 8)
FINE = 1.02 ** np.arange(-4, 5)
LEAST_OFF = 0.03  # of the log: a smaller error of the focal length hardly harms
LEAST_GAIN = 0.05  # the share by which the given focal length must cost more
LEAST_T = 4.0  # mean of the pairs' gains by its standard error


@dataclass(frozen=True, eq=False)
class FocalDoubts:
    """What the matches say against the focal lengths, one sentence per camera."""

    sentences: tuple[str, ...] = ()

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        object.__setattr__(self, "sentences", tuple(self.sentences))


def doubtful_focals(
    images: ImageList,
    pairs: Iterable[tuple[str, str]],
    keypoints_of: Callable[[str], np.ndarray],
    matches_of: Callable[[tuple[str, str]], PairMatches],
) -> list[str]:
    """One sentence for each camera whose references' matches fit another focal length clearly better.

    keypoints_of: an image's (N, 2) px, by name; matches_of: a pair's; of a large map only some are asked for. Only
    pairs of two photos of one camera are looked at, as their focal length is one.
    """
    sentences = []
    for chosen in looked_at(images, pairs, PAIRS):
        camera = images.by_name[chosen[0][0]].camera
        found = [_rays(images, keypoints_of, pair, matches_of(pair).rows) for pair in chosen]
        ratio = better_ratio([f for f in found if f is not None], camera)
        if ratio is not None:
            given_px = camera.focal_px
            sentences.append(
                f"the references' matches fit f = {ratio * given_px:.0f} px better than {given_px:.0f} px (camera "
                f"{camera.model} {camera.width} x {camera.height}): mend the intrinsics of the references, or "
                "check that these poses belong to these photos"
            )
    return sentences


def looked_at(images: ImageList, pairs: Iterable[tuple[str, str]], most: int) -> list[list[tuple[str, str]]]:
    """Up to `most` pairs of two photos of one camera, spread over all of its, for each camera that has any."""
    by_camera: dict[tuple, list[tuple[str, str]]] = {}
    for first, second in pairs:
        a, b = images.by_name[first].camera, images.by_name[second].camera
        if _same(a, b):
            by_camera.setdefault(_identity(a), []).append((first, second))
    return [[p[i] for i in np.linspace(0, len(p) - 1, min(len(p), most)).astype(int)] for p in by_camera.values()]


def better_ratio(pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]], camera: Camera) -> float | None:
    """By what to multiply the focal length to fit clearly better; None if it is right, or nothing says that it is not.

    pairs: (E, x, y), essential matrix and rays on the planes z = 1, (M, 2) each, made with the given focal length.
    """
    if len(pairs) < LEAST_PAIRS:
        return None
    coarse = _costs(pairs, camera, COARSE)
    scales = COARSE[coarse.mean(0).argmin()] * FINE
    fine, given = _costs(pairs, camera, scales), coarse[:, len(COARSE) // 2]
    best = int(fine.mean(0).argmin())
    gains = given - fine[:, best]
    error = max(float(gains.std(ddof=1)) / np.sqrt(len(gains)), 1e-12)
    clearly = gains.mean() > LEAST_GAIN * fine[:, best].mean() and gains.mean() > LEAST_T * error
    return float(scales[best]) if clearly and abs(np.log(scales[best])) > LEAST_OFF else None


def _costs(pairs, camera: Camera, scales: np.ndarray) -> np.ndarray:
    """Mean Cauchy cost of each pair's matches for each multiple of the focal length, (pairs, scales)."""
    focal_px, unit = camera.focal_px, SCALE_SHARE * max(camera.width, camera.height)
    return np.array([
        [np.log1p(sampson_error(E, x / s, y / s) * (focal_px * s / unit) ** 2).mean() for s in scales]
        for E, x, y in pairs
    ])  # fmt: skip


def _rays(images: ImageList, keypoints_of: Callable, pair: tuple[str, str], rows: np.ndarray):
    """(E, x, y) of a pair; None with too few matches, or of two photos from one place, which have no epipolar lines."""
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MATCHES)).astype(int)] if len(rows) else rows
    first, second = (images.by_name[name] for name in pair)
    x = camera_rays(first.camera, keypoints_of(pair[0])[rows[:, 0]])
    y = camera_rays(second.camera, keypoints_of(pair[1])[rows[:, 1]])
    E = essential_matrix(first.pose, second.pose)
    known = np.isfinite(x).all(1) & np.isfinite(y).all(1)
    if known.sum() < LEAST_MATCHES or not np.abs(E).max() > 1e-9:
        return None
    return E, x[known], y[known]


def _identity(camera: Camera) -> tuple:
    return camera.model, camera.width, camera.height, tuple(camera.params)


def _same(a: Camera, b: Camera) -> bool:
    return a is b or _identity(a) == _identity(b)
