"""Pose by COLMAP: LO-RANSAC with P3P and a refinement on the inliers (Schoenberger & Frahm, CVPR 2016)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.geometry.colmap import pycolmap, to_pycolmap_camera
from localize.pose.base import POSITIVE, check_iterations, checked, failed, too_few
from localize.types import Camera, Matches2D3D, PoseEstimate


@dataclass(frozen=True)
class Colmap:
    """COLMAP's absolute pose, refined."""

    max_error_px: float = 12.0  # reprojection error of an inlier
    min_inliers: int | None = None  # fewer: the query failed; None: what suits the feature, or 12
    min_iterations: int = 100
    max_iterations: int = 10_000
    confidence: float = 0.99999
    seed: int = 0

    VERSION: ClassVar[int] = 1
    SUITED: ClassVar[dict] = {"min_inliers": "min_inliers"}
    LIBRARIES: ClassVar[tuple] = ("pycolmap",)

    def __post_init__(self):
        check_component(self, positive=POSITIVE, shares=("confidence",))
        check_iterations(self)

    def estimate(self, matches: Matches2D3D, camera: Camera) -> PoseEstimate:
        """cam_from_world from matches in pixels of this camera."""
        failure = too_few(len(matches))
        if failure:
            return failure
        options = pycolmap.AbsolutePoseEstimationOptions()
        ransac = options.ransac
        ransac.max_error, ransac.confidence, ransac.random_seed = self.max_error_px, self.confidence, self.seed
        ransac.min_num_trials, ransac.max_num_trials = self.min_iterations, self.max_iterations
        answer = pycolmap.estimate_and_refine_absolute_pose(
            matches.xy, matches.xyz, to_pycolmap_camera(camera), options, pycolmap.AbsolutePoseRefinementOptions()
        )
        if answer is None:
            return failed(len(matches), f"no pose agrees with the {len(matches)} matches")
        matrix = answer["cam_from_world"].matrix()
        return checked(matrix[:, :3], matrix[:, 3], np.asarray(answer["inlier_mask"], bool), self.min_inliers)
