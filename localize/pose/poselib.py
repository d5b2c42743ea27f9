"""Pose by PoseLib: LO-RANSAC with P3P, MSAC scoring and a final robust refinement (Larsson, PoseLib).

PROSAC: Chum & Matas, "Matching with PROSAC: progressive sample consensus", CVPR 2005.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import poselib

from localize.geometry.colmap import camera_rays
from localize.geometry.poses import qvec_from_rotation
from localize.pose.base import Ransac, checked
from localize.pose.priors import believed
from localize.pose.rig import Rig, rig_poses
from localize.pose.unknown_focal import can_estimate, pose_and_focal
from localize.pose.upright import solve_with_gravity
from localize.types import Camera, Matches2D3D, Pose, PoseEstimate, Prior, View

# Any other name silently becomes a null model in PoseLib 2.0.5.
_MODELS = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV"}
_ALL_AFTER = 100_000  # PROSAC samples until all matches take part: after 1,000 it is the best fifth, after 10,000 half


@dataclass(frozen=True)
class PoseLib(Ransac):
    """PoseLib's absolute pose; its options are fields here because it ignores unknown option names in silence.

    Where gravity is known, two matches make a pose (`localize/pose/upright.py`), and PoseLib's search is the judge.
    """

    min_iterations: int = 300
    max_iterations: int = 30_000
    confidence: float = 0.9999
    prosac: bool = True  # samples come from the best matches first, then from more and more of them

    VERSION: ClassVar[int] = 3
    honours: ClassVar[frozenset] = frozenset({"gravity", "position", "focal"})
    LIBRARIES: ClassVar[tuple] = ("poselib",)

    def options(self, camera: Camera, max_iterations: int | None = None) -> dict:
        """These fields by PoseLib's names, for photos of this camera, perhaps with fewer iterations."""
        return {
            "max_reproj_error": self.error_px(camera),
            "min_iterations": self.min_iterations,
            "max_iterations": max_iterations or self.max_iterations,
            "success_prob": self.confidence,
            "dyn_num_trials_mult": 1.0,  # PoseLib's 3 makes of a confidence of 0.9999 one of 1 - 1e-12
            "progressive_sampling": self.prosac,
            "max_prosac_iterations": _ALL_AFTER,
            "seed": self.seed,
        }

    def search(self, matches: Matches2D3D, camera: Camera, prior: Prior | None) -> PoseEstimate:
        """See `Ransac.solve`."""
        found = self._searched(matches, camera, prior)
        if found.pose is None:
            return found
        return dataclasses.replace(found, notes=(*found.notes, *believed(prior, found.pose)[1]))

    def _searched(self, matches: Matches2D3D, camera: Camera, prior: Prior | None) -> PoseEstimate:
        """With what the prior says of the focal length, or else of gravity."""
        if prior is not None and prior.focal != "given":
            if can_estimate(camera):
                return pose_and_focal(matches, camera, prior.focal, self.error_px(camera), self.options(camera))
            found = self._searched(matches, camera, dataclasses.replace(prior, focal="given"))
            note = f"the focal length of a {camera.model} camera is not estimated: that of the list was used"
            return dataclasses.replace(found, notes=(*found.notes, note))

        def p3p(max_iterations: int) -> PoseEstimate:
            return self._p3p(matches, camera, self.options(camera, max_iterations))

        if prior is None or prior.gravity is None:
            return p3p(self.max_iterations)
        return solve_with_gravity(self, matches, camera, prior, p3p, prosac=self.prosac)

    def _p3p(self, matches: Matches2D3D, camera: Camera, options: dict) -> PoseEstimate:
        """By the matches alone."""
        xy, theirs, usable = _known(camera, matches.xy)
        pose, info = poselib.estimate_absolute_pose(xy[usable], matches.xyz[usable], theirs, options, {})
        inliers = np.zeros(len(matches), bool)
        inliers[usable] = info["inliers"]
        return checked(pose.R, pose.t, inliers)

    def solve_rig(self, views: list[View], cam_from_rig: list[Pose]) -> list[PoseEstimate]:
        """See `SolvesRigs.solve_rig`."""
        return rig_poses(self, views, cam_from_rig)

    def search_rig(self, rig: Rig, first: Pose | None) -> Pose:
        """See `SearchesRigs.search_rig`. PROSAC is not to be had: PoseLib draws a photo, then one of its matches."""
        xys, cameras, usable = zip(*(_known(c, xy) for c, xy in zip(rig.cameras, rig.xy, strict=True)), strict=True)
        pose, _ = poselib.estimate_generalized_absolute_pose(
            [xy[rows] for xy, rows in zip(xys, usable, strict=True)],
            [xyz[rows] for xyz, rows in zip(rig.xyz, usable, strict=True)],
            [_their_pose(pose) for pose in rig.cam_from_rig],
            list(cameras),
            self.options(rig.largest),
            {},
            None if first is None else _their_pose(first),
        )
        return Pose(pose.R, pose.t)


def _known(camera: Camera, xy: np.ndarray) -> tuple[np.ndarray, dict, np.ndarray]:
    """Pixels (M, 2) and a camera that PoseLib knows, and the rows that can be used.

    Other models we undistort ourselves, to an ideal camera of the same focal length.
    """
    model, params = camera.model, camera.params
    if model not in _MODELS:
        xy, model, params = camera_rays(camera, xy) * camera.focal_px, "SIMPLE_PINHOLE", [camera.focal_px, 0, 0]
    theirs = {"model": model, "width": camera.width, "height": camera.height, "params": list(map(float, params))}
    return xy, theirs, np.flatnonzero(np.isfinite(xy).all(1))


def _their_pose(pose: Pose) -> poselib.CameraPose:
    theirs = poselib.CameraPose()
    theirs.q, theirs.t = qvec_from_rotation(pose.rotation), pose.translation
    return theirs
