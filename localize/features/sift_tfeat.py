"""SIFT keypoints with TFeat descriptors, which others learned from patches: to compare with.

Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional neural networks", BMVC 2016.
"""

from dataclasses import dataclass
from typing import ClassVar

from localize.features.sift import Sift
from localize.features.sift_patches import SiftPatches


@dataclass(frozen=True)
class SiftTfeat(SiftPatches):
    """SIFT keypoints with scale and orientation; 128-D TFeat descriptors, brought to unit length, float16.

    The patch is a turned square of 12 times the scale, which is what descriptors trained on UBC PhotoTour are commonly
    given; the network brings it to mean 0 and deviation 1 itself.
    """

    weights: str = "tfeat_liberty"  # the name of published ones, or the path of a file such as tfeat-liberty.params
    coefficient: float = 12.0  # side of the patch, in units of the keypoint's scale
    precision: str = "float32"  # as published; auto: bfloat16 where the processor computes in it

    VERSION: ClassVar[int] = 100 * Sift.VERSION + 1  # other keypoints are other features

    @staticmethod
    def load(path: str):
        """The network of a weights file; InputError if it has none."""
        from localize.networks.patches import UnitTFeat
        from localize.weights.patches import load_tfeat  # torch takes a second to import: only where it is used

        return UnitTFeat(load_tfeat(path))
