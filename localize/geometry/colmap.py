"""pycolmap, imported once and quiet, and our cameras and poses in its types."""

import contextlib
import signal
import zlib  # noqa: F401  before pycolmap, see localize/__init__.py

import numpy as np

from localize.types import Camera, Pose

_on_terminate = signal.getsignal(signal.SIGTERM)
import pycolmap  # noqa: E402

with contextlib.suppress(ValueError):  # only the main thread may
    signal.signal(signal.SIGTERM, _on_terminate)  # pycolmap's own prints a trace of its C++, and nobody is asked
pycolmap.logging.minloglevel = 2  # its progress lines are ours to print; errors arrive as exceptions

__all__ = ["camera_rays", "pycolmap", "to_pycolmap_camera", "to_pycolmap_pose"]


def to_pycolmap_camera(camera: Camera, camera_id: int = 1) -> pycolmap.Camera:
    """The same camera as pycolmap's type."""
    return pycolmap.Camera(
        model=camera.model, width=camera.width, height=camera.height, params=camera.params, camera_id=camera_id
    )


def to_pycolmap_pose(pose: Pose) -> pycolmap.Rigid3d:
    """The same cam_from_world as pycolmap's type."""
    return pycolmap.Rigid3d(np.column_stack([pose.rotation, pose.translation]))


def camera_rays(camera: Camera, xy: np.ndarray) -> np.ndarray:
    """Undistorted positions (N, 2) on the plane z = 1 of pixels xy (N, 2); NaN where the model has no inverse."""
    return np.asarray(to_pycolmap_camera(camera).cam_from_img(np.asarray(xy, np.float64).reshape(-1, 2)))
