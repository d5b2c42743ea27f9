"""Poses of photos whose relative poses are known, from the matches of them all: generalized absolute pose.

All rays of a rig are in one frame, so one pose, rig_from_world, explains the matches of every photo (Kukelova, Heller &
Fitzgibbon, "Efficient intersection of three quadrics and applications in computer vision", CVPR 2016). Each photo is
also solved by itself: its own pose, carried over to the rig, is a first guess, and it is the witness where the relative
poses are wrong.
"""

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from localize.components import USUAL
from localize.geometry.colmap import to_pycolmap_camera
from localize.geometry.poses import composed, inverse, pose_error
from localize.pose.base import MIN_MATCHES, PoseEstimator, failed
from localize.types import Camera, Pose, PoseEstimate, View

UNUSED = "the relative poses of its group contradict its photos and were not used"
CARRIED = "its pose comes from the other photos of its group"
_WITNESS = 2  # times the inliers that a pose must rest on: a photo with so many may contradict its group
_SHARE = 0.5  # of its own inliers: a pose that agrees with fewer contradicts the photo
_CONFIRMS = 5  # matches that agree with a pose found in another photo; by chance, at 12 px of 640 x 480, 0.5 of 300 do
_FEW = 100  # samples where the pose is known already


@dataclass(frozen=True, eq=False)
class Rig:
    """The photos that have matches: places in the list of all, and what a generalized solver needs of each."""

    places: tuple[int, ...]
    xy: list[np.ndarray]  # (M, 2) px of each
    xyz: list[np.ndarray]  # (M, 3) m of each
    cameras: list[Camera]
    cam_from_rig: list[Pose]

    @property
    def largest(self) -> Camera:
        """The camera of the largest photo: solvers have one threshold for all."""
        return max(self.cameras, key=lambda camera: camera.px_of_1600)


class SearchesRigs(PoseEstimator, Protocol):
    """What `rig_poses` needs of a solver."""

    def error_px(self, camera: Camera) -> float:
        """The largest reprojection error of an inlier in photos of this camera."""
        ...

    def search_rig(self, rig: Rig, first: Pose | None) -> Pose | None:
        """rig_from_world by a robust generalized solver; first: the best guess there is, which it need not use."""
        ...


def rig_poses(solver: SearchesRigs, views: list[View], cam_from_rig: list[Pose]) -> list[PoseEstimate]:
    """Of each photo cam_from_rig * rig_from_world, on however few inliers (the mask is that of its own matches).

    A photo whose own pose is strong and contradicts its group gets its own, and a note says so. If then no two photos
    confirm the relative poses either, nothing is carried over, and every photo is left to itself. Where a photo's focal
    length is not known, the one of its own pose is used, and without one its matches are left out.
    """
    own = [solver.solve(view.matches, view.camera, view.prior) for view in views]
    cameras = [single.camera or view.camera for single, view in zip(own, views, strict=True)]
    rig = _rig(views, own, cameras, cam_from_rig)
    guesses = [composed(inverse(m), o.pose) for m, o in zip(cam_from_rig, own, strict=True) if o.pose is not None]
    guesses.sort(key=lambda pose: _cost(solver, rig, pose))
    count = sum(map(len, rig.xy))
    asked = USUAL.min_inliers if solver.min_inliers is None else solver.min_inliers
    if count >= MIN_MATCHES:
        first = guesses[0] if guesses else None
        searched = _searching(solver, rig, first, asked).search_rig(rig, first)
        guesses += [] if searched is None else [searched]
    if not guesses:
        reason = f"no pose agrees with {MIN_MATCHES} of the {count} matches of the {len(views)} photos of its group"
        return [failed(len(view.matches), reason) for view in views]
    best = min(guesses, key=lambda pose: _cost(solver, rig, pose))
    masks = [np.zeros(len(view.matches), bool) for view in views]
    for i, place in enumerate(rig.places):
        masks[place] = _errors_px(rig, i, best) < solver.error_px(rig.cameras[i])
    mounts = [composed(mount, best) for mount in cam_from_rig]
    answers = [_answer(*of_photo, asked) for of_photo in zip(mounts, masks, own, strict=True)]
    contradicted = any(a.pose is single.pose for a, single in zip(answers, own, strict=True))
    if contradicted and sum(np.count_nonzero(mask) >= _CONFIRMS for mask in masks) < 2:
        alone = [dataclasses.replace(single, notes=(*single.notes, UNUSED)) for single in own]
        return [a if a.pose is s.pose else left for a, s, left in zip(answers, own, alone, strict=True)]
    return answers


def _searching(solver: SearchesRigs, rig: Rig, first: Pose | None, asked: int) -> SearchesRigs:
    """The solver; with few samples where two photos, each enough alone, agree on the first pose: it is refined only."""
    agreeing = 0
    if first is not None:
        limits = [solver.error_px(camera) for camera in rig.cameras]
        inliers = [np.count_nonzero(_errors_px(rig, i, first) < limit) for i, limit in enumerate(limits)]
        agreeing = sum(count >= asked for count in inliers)
    return dataclasses.replace(solver, min_iterations=_FEW, max_iterations=_FEW) if agreeing >= 2 else solver


def _rig(views: list[View], own: list[PoseEstimate], cameras: list[Camera], cam_from_rig: list[Pose]) -> Rig:
    """PoseLib would draw from photos without matches for ever, so they are left out."""
    places = tuple(
        i
        for i, (view, single) in enumerate(zip(views, own, strict=True))
        if len(view.matches) and (view.prior is None or view.prior.focal == "given" or single.pose is not None)
    )
    return Rig(
        places,
        [views[i].matches.xy for i in places],
        [views[i].matches.xyz for i in places],
        [cameras[i] for i in places],
        [cam_from_rig[i] for i in places],
    )


def _answer(pose: Pose, inliers: np.ndarray, own: PoseEstimate, asked: int) -> PoseEstimate:
    """The rig's pose of a photo, or its own where that is strong and another."""
    support, alone = np.count_nonzero(inliers), own.num_inliers
    if own.pose is not None and alone >= _WITNESS * asked and support < _SHARE * alone:
        metres, degrees = pose_error(own.pose, pose)
        note = (
            f"{alone} inliers of this photo contradict the relative poses of its group by {metres:.3g} (in the map's "
            f"unit) and {degrees:.3g} deg, where {support} agree: its own pose was kept"
        )
        return dataclasses.replace(own, notes=(*own.notes, note))
    if support < MIN_MATCHES:
        return PoseEstimate(pose, inliers, camera=own.camera, notes=(*own.notes, CARRIED))
    return PoseEstimate(pose, inliers, camera=own.camera, notes=own.notes)


def _cost(solver: SearchesRigs, rig: Rig, pose: Pose) -> float:
    """MSAC's: squared errors, none above that of the threshold (Torr & Zisserman, 2000)."""
    limits = [solver.error_px(camera) for camera in rig.cameras]
    return sum(float((np.minimum(_errors_px(rig, i, pose), limit) ** 2).sum()) for i, limit in enumerate(limits))


def _errors_px(rig: Rig, i: int, rig_from_world: Pose) -> np.ndarray:
    """Reprojection errors (M,) px of the i-th photo's matches; inf behind the camera."""
    pose = composed(rig.cam_from_rig[i], rig_from_world)
    seen = np.asarray(to_pycolmap_camera(rig.cameras[i]).img_from_cam(rig.xyz[i] @ pose.rotation.T + pose.translation))
    errors = np.linalg.norm(seen.reshape(-1, 2) - rig.xy[i], axis=1)
    return np.where(np.isfinite(errors), errors, np.inf)
