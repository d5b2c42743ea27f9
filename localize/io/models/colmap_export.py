"""A map written as a COLMAP model, which COLMAP and hloc read: poses, cameras, points, and all keypoints."""

import pathlib
from collections.abc import Mapping

import numpy as np

from localize.geometry.colmap import pycolmap, to_pycolmap_camera, to_pycolmap_pose
from localize.types import Map


def write_colmap_model(folder: pathlib.Path, model: Map, keypoints: Mapping[str, np.ndarray]) -> None:
    """Write the binary model of a map into a folder, which must exist; keypoints (N, 2) px by image name.

    Images and points are numbered from 1 in the map's order. Row n of an image's points2D is its keypoint n, whether it
    sees a point or not, so that the model counts the keypoints of the features. Images of one camera share it.
    """
    rec, cameras = pycolmap.Reconstruction(), {}
    for i, image in enumerate(model.images, 1):
        c = image.camera
        kind = c.model, c.width, c.height, c.params.tobytes()
        if kind not in cameras:
            cameras[kind] = len(cameras) + 1
            rec.add_camera_with_trivial_rig(to_pycolmap_camera(c, cameras[kind]))
        xy = np.asarray(keypoints[image.name], np.float64).reshape(-1, 2)
        rec.add_image_with_trivial_frame(
            pycolmap.Image(name=image.name, keypoints=xy, camera_id=cameras[kind], image_id=i),
            to_pycolmap_pose(image.pose),
        )
    black = np.zeros(3, np.uint8)
    seen = np.column_stack([model.image + 1, model.keypoint]).tolist()
    for p, xyz in enumerate(np.asarray(model.points)):
        track = [pycolmap.TrackElement(*seen[m]) for m in range(model.indptr[p], model.indptr[p + 1])]
        rec.add_point3D(xyz, pycolmap.Track(track), black)
    rec.update_point_3d_errors()
    rec.write_binary(str(folder))
