"""The records that flow between the stages, and their checks. Nothing but numpy is imported here.

Conventions, everywhere inside the package:

* pixels: x right, y down, the centre of the upper-left pixel is (0.5, 0.5), at original image size;
* poses: `cam_from_world`, X_cam = R X_world + t, metres;
* a failed estimate is `None`, never an identity pose.
"""

from localize.types.answers import FRAME, LEAF, Evidence, Matches2D3D, Nearest, PoseEstimate, Report, View
from localize.types.checks import InputError, StoreError, UnreadableError, check_regular, collecting
from localize.types.features import Features, GlobalVector, PairMatches, Retrieval
from localize.types.maps import Map, PointRows, SourceModel
from localize.types.priors import Prior
from localize.types.regions import Regions
from localize.types.scenes import (
    CAMERA_MODELS,
    Camera,
    Image,
    ImageList,
    ModelFiles,
    Mounted,
    Pose,
    Scene,
    Submission,
    Taken,
    Unposed,
    repeated_names,
)
from localize.types.words import VisualWords

__all__ = [
    "CAMERA_MODELS",
    "FRAME",
    "LEAF",
    "Camera",
    "Evidence",
    "Features",
    "GlobalVector",
    "Image",
    "ImageList",
    "InputError",
    "Map",
    "Matches2D3D",
    "ModelFiles",
    "Mounted",
    "Nearest",
    "PairMatches",
    "PointRows",
    "Pose",
    "PoseEstimate",
    "Prior",
    "Regions",
    "Report",
    "Retrieval",
    "Scene",
    "SourceModel",
    "StoreError",
    "Submission",
    "Taken",
    "Unposed",
    "UnreadableError",
    "View",
    "VisualWords",
    "check_regular",
    "collecting",
    "repeated_names",
]
