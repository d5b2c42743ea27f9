"""Whether the inliers of a pose fit another focal length clearly better than the one that was given.

A wrong focal length is no reason for few inliers: the camera moves back or forth until most of them agree, and a photo
is localized far away with thousands of them. So another one is fitted together with the pose, on the same matches.

The bounds were chosen on queries with known focal lengths (SIFT features): where the given one was right, another
one never lowered the cost by more than 9.3 % (12 photos of 7-Scenes' RedKitchen, whose own poses drift; below 1 % on 12
others). Where it was 30 % too short or 44 % too long, it is said of 46 of 48 (24 photos, each way).
"""

import re

import numpy as np

from localize.geometry.colmap import camera_rays
from localize.geometry.focal_fit import Beliefs, FittedLens, Lens, errors_of, fit_lens
from localize.types import Camera, Pose

LEAST_INLIERS = 20
MOST = 400  # matches of the fit; more determine the focal length no better than the test asks for
ROUNDS = 3
LEAST_OFF = 0.03  # of the log: a smaller error of the focal length hardly harms
LEAST_SDS = 5.0
MOST_SD = 0.03  # of the log: with more, the matches leave the focal length open
LEAST_GAIN = 0.13  # the share by which the given focal length must cost more
LEAST_DROP = 5.0  # of the cost, in squares of the keypoints' standard deviation: log likelihood
LENS = Beliefs(1.0, focal_sd=1e3, radial_sd=0.05)  # what the list's distortion leaves; of the focal length nothing
_SAID = "the inliers fit f = {:.0f} px, not {:.0f} px"
_ADVICE = ": give the query focal=unknown, or mend its intrinsics"
_PATTERN = re.compile(r"the inliers fit f = (\d+) px, not (\d+) px")


def better_focal(xy: np.ndarray, xyz: np.ndarray, camera: Camera, pose: Pose, error_px: float) -> str | None:
    """The sentence for the user if another focal length fits clearly better, else None.

    xy (M, 2) px and xyz (M, 3) m: matches, inliers or all of them; error_px: reprojection error of an inlier.
    """
    given_px = camera.focal_px
    fit = _clearly_better(camera_rays(camera, xy) * given_px, xyz, Lens(pose, given_px), error_px)
    return None if fit is None else _SAID.format(fit.lens.focal_px, given_px) + _ADVICE


def focal_in(note: str) -> tuple[float, float] | None:
    """(focal length that fits, focal length given) of a sentence of `better_focal`; None for any other sentence."""
    found = _PATTERN.match(note)
    return None if found is None else (float(found[1]), float(found[2]))


def _clearly_better(xy: np.ndarray, xyz: np.ndarray, given: Lens, error_px: float) -> FittedLens | None:
    """The fit with another focal length, if it is to be believed. Both fits have the distortion free, within limits."""
    seen = _spread(errors_of(given, xy, xyz) < 2 * error_px)
    if len(seen) < LEAST_INLIERS:
        return None
    free = fit_lens(xy[seen], xyz[seen], given, error_px / 3, LENS)
    if abs(np.log(free.lens.focal_px / given.focal_px)) < LEAST_OFF / 3:
        return None
    for _ in range(ROUNDS):  # what was an outlier for the wrong focal length may be right
        errors = errors_of(free.lens, xy, xyz)
        seen, scale = _spread(errors < 2 * error_px), sharp_scale(errors, error_px)
        if len(seen) < LEAST_INLIERS:
            return None
        free = fit_lens(xy[seen], xyz[seen], free.lens, scale, LENS)
    held = fit_lens(xy[seen], xyz[seen], given, error_px / 3, LENS, ("pose", "radial"))
    held = fit_lens(xy[seen], xyz[seen], held.lens, scale, LENS, ("pose", "radial"))
    off, drop = abs(np.log(free.lens.focal_px / given.focal_px)), held.cost - free.cost
    believed = (
        free.focal_sd < MOST_SD
        and off > max(LEAST_OFF, LEAST_SDS * free.focal_sd)
        and drop > LEAST_GAIN * free.cost
        and drop > LEAST_DROP * free.sigma_px**2
    )
    return free if believed else None


def _spread(chosen: np.ndarray) -> np.ndarray:
    """Indices of the chosen (M,) bool; of more than MOST of them so many, evenly."""
    rows = np.flatnonzero(chosen)
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(int)] if len(rows) else rows


def sharp_scale(errors: np.ndarray, error_px: float) -> float:
    """The scale of a last fit, px: twice the robust standard deviation of the inliers' errors, within limits."""
    near = errors[errors < error_px]
    spread = 2 * 1.4826 * float(np.median(near)) if len(near) else np.inf
    return float(np.clip(spread, error_px / 12, error_px / 3))
