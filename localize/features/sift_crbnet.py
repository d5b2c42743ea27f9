"""SIFT keypoints with CRBNet descriptors, which are learned from patches; their signs are bits made for trees.

The parallel search paper, section 5.1: the patch of a keypoint is a turned square of 13 times its scale.
"""

from dataclasses import dataclass
from typing import ClassVar

from localize.components import Thresholds
from localize.features.sift import Sift
from localize.features.sift_patches import SiftPatches


@dataclass(frozen=True)
class SiftCrbnet(SiftPatches):
    """SIFT keypoints with scale and orientation; 256-D CRBNet descriptors of unit length, float16.

    A keypoint whose patch shows nothing is dropped; the paper also drops those whose patch leaves the photo, which on
    photos of 640 px takes the outer ones that hold a pose (on Minitown's training town 83 % instead of 92 % within
    0.25 m / 2 deg). Precision `auto` has one key on all machines, so that a map made on one is used on another.
    """

    weights: str = "crbnet256_lite"  # the name of shipped ones, or the path of a .safetensors file

    thresholds: ClassVar[Thresholds] = Thresholds(sign_bits=True)
    VERSION: ClassVar[int] = 100 * Sift.VERSION + 1  # other keypoints are other features

    @staticmethod
    def load(path: str):
        """The network of a weights file; InputError if it has none."""
        from localize.weights.patches import load_weights  # torch takes a second to import: only where it is used

        return load_weights(path)[0]
