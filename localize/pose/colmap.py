"""Pose by COLMAP: LO-RANSAC with P3P and a refinement on the inliers (Schoenberger & Frahm, CVPR 2016)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import pycolmap, to_pycolmap_camera
from localize.pose.base import Ransac, checked, failed
from localize.types import Camera, Matches2D3D, PoseEstimate, Prior


@dataclass(frozen=True)
class Colmap(Ransac):
    """COLMAP's absolute pose, refined."""

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("pycolmap",)

    def search(self, matches: Matches2D3D, camera: Camera, prior: Prior | None) -> PoseEstimate:
        """See `Ransac.solve`."""
        options = pycolmap.AbsolutePoseEstimationOptions()
        ransac = options.ransac
        ransac.max_error, ransac.confidence, ransac.random_seed = self.error_px(camera), self.confidence, self.seed
        ransac.min_num_trials, ransac.max_num_trials = self.min_iterations, self.max_iterations
        answer = pycolmap.estimate_and_refine_absolute_pose(
            matches.xy, matches.xyz, to_pycolmap_camera(camera), options, pycolmap.AbsolutePoseRefinementOptions()
        )
        if answer is None:
            return failed(len(matches), f"no pose agrees with the {len(matches)} matches")
        matrix = answer["cam_from_world"].matrix()
        return checked(matrix[:, :3], matrix[:, 3], np.asarray(answer["inlier_mask"], bool))
