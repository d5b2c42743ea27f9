"""Pose by COLMAP: LO-RANSAC with P3P and a refinement on the inliers (Schoenberger & Frahm, CVPR 2016)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import pycolmap, to_pycolmap_camera, to_pycolmap_pose
from localize.pose.base import Ransac, checked, failed
from localize.pose.rig import Rig, rig_poses
from localize.types import Camera, Matches2D3D, Pose, PoseEstimate, Prior, View


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

    def solve_rig(self, views: list[View], cam_from_rig: list[Pose]) -> list[PoseEstimate]:
        """See `SolvesRigs.solve_rig`."""
        return rig_poses(self, views, cam_from_rig)

    def search_rig(self, rig: Rig, first: Pose | None) -> Pose | None:
        """See `SearchesRigs.search_rig`; COLMAP takes no first pose."""
        options = pycolmap.RANSACOptions()
        options.max_error, options.confidence, options.random_seed = (
            self.error_px(rig.largest),
            self.confidence,
            self.seed,
        )
        options.min_num_trials, options.max_num_trials = self.min_iterations, self.max_iterations
        answer = pycolmap.estimate_and_refine_generalized_absolute_pose(
            np.concatenate(rig.xy),
            np.concatenate(rig.xyz),
            np.repeat(np.arange(len(rig.xy)), [len(xy) for xy in rig.xy]).tolist(),
            [to_pycolmap_pose(pose) for pose in rig.cam_from_rig],
            [to_pycolmap_camera(camera, i + 1) for i, camera in enumerate(rig.cameras)],
            options,
            pycolmap.AbsolutePoseRefinementOptions(),
        )
        if answer is None:
            return None
        matrix = answer["rig_from_world"].matrix()
        return Pose(matrix[:, :3], matrix[:, 3])
