"""Pose with unknown focal length: P3P at some focal lengths, then pose, focal length and radial distortion together.

Two ways were compared on SIFT matches of real photos, guesses 0.7, 1.2 and 1.5 times the truth (AMD EPYC, one busy
core). RANSAC around P4Pf (Bujnak, Kukelova & Pajdla, CVPR 2008; PoseLib's solver, called from Python) finds as good
poses, but its samples are larger and dearer: it took 0.4 s a query of 7-Scenes' RedKitchen, and 2.6 s where 70 % of the
matches were made wrong. P3P at seven focal lengths, from half
to twice the guess, took 0.3 s in both. pycolmap's P4Pf is the fastest (0.1 s), but with 70 % made wrong half of its
focal lengths were off by more than 5 %, of the others a quarter. 11 or 15 steps were better in some cases and worse in
others.
"""

import dataclasses

import numpy as np
import poselib

from localize.geometry.colmap import camera_rays
from localize.geometry.focal_fit import FREE, Beliefs, FittedLens, Lens, errors_of, fit_lens
from localize.pose.base import MIN_MATCHES, checked, failed
from localize.pose.focal import sharp_scale
from localize.types import Camera, Matches2D3D, Pose, PoseEstimate

STEPS = np.geomspace(0.5, 2, 7)  # focal lengths that are tried, by the guess
FIRST = 500  # the best matches, among which RANSAC looks
SAMPLES = 1000  # at each focal length
REFINED = 3  # of the focal lengths
FOCAL_SD = {"guessed": 0.3, "unknown": 0.5}  # of the log, so that few matches do not run off
RADIAL_SD = 0.1  # of SIMPLE_RADIAL's k
MOST_SD = 0.1  # of the log: with more, the matches leave the focal length open
_UNDISTORTED = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL")  # whose distortion is estimated too
_RADIAL = {"RADIAL": slice(3, 5), "OPENCV": slice(4, 6)}


def can_estimate(camera: Camera) -> bool:
    """Whether another focal length has a meaning in the camera's model: not in those of fisheyes."""
    return camera.model in _UNDISTORTED or camera.model in _RADIAL


def pose_and_focal(matches: Matches2D3D, camera: Camera, focal: str, error_px: float, options: dict) -> PoseEstimate:
    """The pose with the camera as estimated and a note that says so; the guess is kept where nothing determines it.

    camera: one that `can_estimate` accepts; focal: guessed or unknown; options: PoseLib's, for RANSAC.
    """
    xy, radial = _centred(camera, matches.xy)
    usable = np.flatnonzero(np.isfinite(xy).all(1))
    if len(usable) < MIN_MATCHES:
        return failed(len(matches), f"no pose agrees with {MIN_MATCHES} of the {len(matches)} matches")
    xy, xyz = xy[usable], matches.xyz[usable]
    beliefs = Beliefs(camera.focal_px, FOCAL_SD[focal], radial, RADIAL_SD)
    first = _search(xy, xyz, beliefs, error_px, options)
    if first is None:
        return failed(len(matches), f"no pose agrees with {MIN_MATCHES} of the {len(matches)} matches")
    fit, open_ = _refined(xy, xyz, first, beliefs, error_px, camera.model in _UNDISTORTED)
    inliers = np.zeros(len(matches), bool)
    inliers[usable] = errors_of(fit.lens, xy, xyz) < error_px
    found = checked(fit.lens.pose.rotation, fit.lens.pose.translation, inliers)
    used = camera if open_ else with_lens(camera, fit.lens)
    note = _note(fit, camera, open_)
    return dataclasses.replace(found, camera=used, notes=(*found.notes, note)) if found.pose is not None else found


def with_lens(camera: Camera, lens: Lens) -> Camera:
    """The camera with another focal length and, where its distortion was estimated too, radial coefficient."""
    ratio, params = lens.focal_px / camera.focal_px, camera.params.copy()
    if camera.model in _RADIAL:  # the picture's distortion stays as it is in pixels
        two = 2 if camera.model == "OPENCV" else 1
        params[:two] *= ratio
        params[_RADIAL[camera.model]] *= ratio ** np.array([2.0, 4.0])
        if camera.model == "OPENCV":
            params[6:] *= ratio
        return Camera(camera.model, camera.width, camera.height, params)
    size = camera.width, camera.height
    if camera.model == "PINHOLE" and abs(params[0] / params[1] - 1) > 1e-3:
        return Camera("OPENCV", *size, [*(params[:2] * ratio), *params[2:], lens.radial, 0, 0, 0])
    return Camera("SIMPLE_RADIAL", *size, [lens.focal_px, *_center(camera), lens.radial])


def _center(camera: Camera) -> np.ndarray:
    return camera.params[2:4] if camera.model in ("PINHOLE", "OPENCV") else camera.params[1:3]


def _centred(camera: Camera, xy: np.ndarray) -> tuple[np.ndarray, float]:
    """Positions (M, 2) px from the principal point, with the radial coefficient that is believed to be in them.

    Distortion of several coefficients is taken out: it belongs to the picture, whatever the focal length.
    """
    if camera.model in _RADIAL:
        return camera_rays(camera, xy) * camera.focal_px, 0.0
    stretch = camera.focal_px / camera.params[:2] if camera.model == "PINHOLE" else np.ones(2)
    radial = float(camera.params[3]) if camera.model == "SIMPLE_RADIAL" else 0.0
    return (xy - _center(camera)) * stretch, radial


def _search(xy: np.ndarray, xyz: np.ndarray, beliefs: Beliefs, error_px: float, options: dict) -> Lens | None:
    """The best of RANSAC with P3P at several focal lengths, by the sum of squared errors, none over error_px^2."""
    most = min(options["max_iterations"], SAMPLES)
    options = options | {"max_reproj_error": error_px, "max_iterations": most}
    options["min_iterations"] = min(options["min_iterations"], 100, most)
    tried = []
    for focal_px in beliefs.focal_px * STEPS:
        camera = {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [focal_px, 0, 0]}
        pose, _ = poselib.estimate_absolute_pose(xy[:FIRST], xyz[:FIRST], camera, options, {})
        try:
            tried.append(Lens(Pose(pose.R, pose.t), float(focal_px)))
        except ValueError:  # no valid pose
            continue
    tried.sort(key=lambda lens: _score(lens, xy, xyz, error_px))
    best = [_moved_to(lens, xy, xyz, beliefs, error_px) for lens in tried[:REFINED]]
    return min(best, key=lambda lens: _score(lens, xy, xyz, error_px), default=None)


def _score(lens: Lens, xy: np.ndarray, xyz: np.ndarray, error_px: float) -> float:
    return float((np.minimum(errors_of(lens, xy, xyz), error_px) ** 2).sum())


def _moved_to(lens: Lens, xy: np.ndarray, xyz: np.ndarray, beliefs: Beliefs, error_px: float) -> Lens:
    """Pose and focal length fitted to ever nearer matches, from a focal length that may be some steps off."""
    for times in (2, 1, 1):
        near = np.flatnonzero(errors_of(lens, xy, xyz) < times * error_px)[:FIRST]
        if len(near) < MIN_MATCHES:
            break
        lens = fit_lens(xy[near], xyz[near], lens, error_px / 3, beliefs, ("pose", "focal")).lens
    return lens


def _refined(xy, xyz, lens: Lens, beliefs: Beliefs, error_px: float, distorted: bool) -> tuple[FittedLens, bool]:
    """(fit, whether the focal length stayed open: then it is the believed one)."""
    free = FREE if distorted else ("pose", "focal")
    for _ in range(2):
        errors = errors_of(lens, xy, xyz)
        near = errors < 2 * error_px
        fit = fit_lens(xy[near], xyz[near], lens, sharp_scale(errors, error_px), beliefs, free)
        lens = fit.lens
    if fit.focal_sd < MOST_SD:
        return fit, False
    # a pose for the guess: the camera that sees the points as large from another distance
    pose = lens.pose
    middle = pose.rotation @ np.median(xyz[near], 0)
    depth = middle[2] + pose.translation[2]
    t = pose.translation + np.array([0, 0, depth * (beliefs.focal_px / lens.focal_px - 1)])
    guess = Lens(Pose(pose.rotation, t), beliefs.focal_px, beliefs.radial)
    held = fit_lens(xy[near], xyz[near], guess, error_px / 3, beliefs, ("pose",))
    near = errors_of(held.lens, xy, xyz) < error_px
    scale = sharp_scale(errors_of(held.lens, xy, xyz), error_px)
    return fit_lens(xy[near], xyz[near], held.lens, scale, beliefs, ("pose",)), True


def _note(fit: FittedLens, camera: Camera, left_open: bool) -> str:
    given = camera.focal_px
    if left_open:
        return f"the matches leave the focal length open, as a plane does: the guess of {given:.0f} px was kept"
    found, sd = fit.lens.focal_px, fit.focal_sd * fit.lens.focal_px
    return (
        f"the focal length was estimated with the pose: {found:.0f} px (sd {sd:.1f} px), it started at {given:.0f} px"
    )
