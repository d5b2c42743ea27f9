"""Pose by PoseLib: LO-RANSAC with P3P, MSAC scoring and a final robust refinement (Larsson, PoseLib)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import poselib

from localize.components import check_component
from localize.geometry.colmap import camera_rays
from localize.pose.base import POSITIVE, check_iterations, checked, too_few
from localize.types import Camera, Matches2D3D, PoseEstimate

# Any other name silently becomes a null model in PoseLib 2.0.5.
_MODELS = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV"}


@dataclass(frozen=True)
class PoseLib:
    """PoseLib's absolute pose; its options are fields here because it ignores unknown option names in silence."""

    max_error_px: float = 12.0  # reprojection error of an inlier
    min_inliers: int = 12  # fewer: the query failed
    min_iterations: int = 1000
    max_iterations: int = 100_000
    confidence: float = 0.9999
    seed: int = 0

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("poselib",)

    def __post_init__(self):
        check_component(self, positive=POSITIVE, shares=("confidence",))
        check_iterations(self)

    def estimate(self, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """cam_from_world from matches in pixels of this camera."""
        failure = too_few(len(matches))
        if failure:
            return failure
        xy, model, params = matches.xy, camera.model, camera.params
        if model not in _MODELS:  # undistort ourselves, to an ideal camera of the same focal length
            xy, model, params = camera_rays(camera, xy) * camera.focal_px, "SIMPLE_PINHOLE", [camera.focal_px, 0, 0]
        usable = np.flatnonzero(np.isfinite(xy).all(1))
        pose, info = poselib.estimate_absolute_pose(
            xy[usable],
            matches.xyz[usable],
            {"model": model, "width": camera.width, "height": camera.height, "params": list(map(float, params))},
            {
                "max_reproj_error": self.max_error_px,
                "min_iterations": self.min_iterations,
                "max_iterations": self.max_iterations,
                "success_prob": self.confidence,
                "seed": self.seed,
            },
            {},
        )
        inliers = np.zeros(len(matches), bool)
        inliers[usable] = info["inliers"]
        return checked(pose.R, pose.t, inliers, self.min_inliers)
