"""Pose by PoseLib: LO-RANSAC with P3P, MSAC scoring and a final robust refinement (Larsson, PoseLib).

PROSAC: Chum & Matas, "Matching with PROSAC: progressive sample consensus", CVPR 2005.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import poselib

from localize.geometry.colmap import camera_rays
from localize.pose.base import Ransac, checked
from localize.pose.unknown_focal import can_estimate, pose_and_focal
from localize.types import Camera, Matches2D3D, PoseEstimate, Prior

# Any other name silently becomes a null model in PoseLib 2.0.5.
_MODELS = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV"}
_ALL_AFTER = 100_000  # PROSAC samples until all matches take part: after 1,000 it is the best fifth, after 10,000 half


@dataclass(frozen=True)
class PoseLib(Ransac):
    """PoseLib's absolute pose; its options are fields here because it ignores unknown option names in silence."""

    min_iterations: int = 300
    max_iterations: int = 30_000
    confidence: float = 0.9999
    prosac: bool = True  # samples come from the best matches first, then from more and more of them

    VERSION: ClassVar[int] = 3
    honours: ClassVar[frozenset] = frozenset({"focal"})
    LIBRARIES: ClassVar[tuple] = ("poselib",)

    def options(self) -> dict:
        """These fields by PoseLib's names."""
        return {
            "max_reproj_error": self.max_error_px,
            "min_iterations": self.min_iterations,
            "max_iterations": self.max_iterations,
            "success_prob": self.confidence,
            "dyn_num_trials_mult": 1.0,  # PoseLib's 3 makes of a confidence of 0.9999 one of 1 - 1e-12
            "progressive_sampling": self.prosac,
            "max_prosac_iterations": _ALL_AFTER,
            "seed": self.seed,
        }

    def search(self, matches: Matches2D3D, camera: Camera, prior: Prior | None) -> PoseEstimate:
        """See `Ransac.solve`."""
        if prior is not None and prior.focal != "given":
            if can_estimate(camera):
                return pose_and_focal(matches, camera, prior.focal, self.max_error_px, self.options())
            found = self.search(matches, camera, dataclasses.replace(prior, focal="given"))
            note = f"the focal length of a {camera.model} camera is not estimated: that of the list was used"
            return dataclasses.replace(found, notes=(*found.notes, note))
        xy, model, params = matches.xy, camera.model, camera.params
        if model not in _MODELS:  # undistort ourselves, to an ideal camera of the same focal length
            xy, model, params = camera_rays(camera, xy) * camera.focal_px, "SIMPLE_PINHOLE", [camera.focal_px, 0, 0]
        usable = np.flatnonzero(np.isfinite(xy).all(1))
        pose, info = poselib.estimate_absolute_pose(
            xy[usable],
            matches.xyz[usable],
            {"model": model, "width": camera.width, "height": camera.height, "params": list(map(float, params))},
            self.options(),
            {},
        )
        inliers = np.zeros(len(matches), bool)
        inliers[usable] = info["inliers"]
        return checked(pose.R, pose.t, inliers)
