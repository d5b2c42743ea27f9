"""SIFT keypoints with CRBNet descriptors, which are learned from patches; their signs are bits made for trees.

The parallel search paper, section 5.1: the patch of a keypoint is a turned square of 13 times its scale.
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.features.sift import Sift
from localize.kernels.patches import BOUNDARIES, FLAT, extract_patches
from localize.keys import file_stamp
from localize.networks.shipped import weights_file
from localize.types import Features, InputError


@dataclass(frozen=True)
class SiftCrbnet(Sift):
    """SIFT keypoints with scale and orientation; 256-D CRBNet descriptors of unit length, float16.

    A keypoint whose patch shows nothing is dropped; the paper also drops those whose patch leaves the photo, which on
    photos of 640 px takes the outer ones that hold a pose (on Minitown's training town 83 % instead of 92 % within
    0.25 m / 2 deg). Patches are cut from the photo as it came, also where the keypoints were found in a smaller one.
    Precision `auto` has one key on all machines, so that a map made on one is used on another.
    """

    weights: str = "crbnet256_lite"  # the name of shipped ones, or the path of a .safetensors file
    coefficient: float = 13.0  # side of the patch, in units of the keypoint's scale
    boundary: str = "replicate"  # the photo's edge goes on in patches that leave it; drop: without them, as the paper
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key
    batch_size: int | None = None  # patches at a time; None: 64 on a CPU, 512 on a GPU

    VERSION: ClassVar[int] = 100 * Sift.VERSION + 1  # other keypoints are other features
    LIBRARIES: ClassVar[tuple] = (*Sift.LIBRARIES, "torch")

    def __post_init__(self):
        super().__post_init__()
        choices = {"boundary": BOUNDARIES, "precision": ("auto", "float32", "bfloat16")}
        check_component(self, positive=("coefficient", "batch_size"), choices=choices)

    def preflight(self) -> list[str]:
        """What is missing, or no weights."""
        try:
            self._network()
        except InputError as e:
            return list(e.problems)
        return []

    def files(self) -> list[str]:
        """The weights, whose content decides the descriptors; InputError if they are missing."""
        return [weights_file(self.weights, "feature.weights", ", or take feature=sift")]

    def extract(self, photo: np.ndarray) -> Features:
        """Features of a grey photo (H, W) uint8; ValueError for another shape or type."""
        found = super().extract(photo)
        descriptors, rows = self._describe(photo, found.keypoints, found.scales, found.orientations)
        parts = found.keypoints, descriptors, found.scores, found.scales, found.orientations
        return Features(*(part if part is descriptors else part[rows] for part in parts))

    def describe_at(
        self, photo: np.ndarray, keypoints: np.ndarray, scales: np.ndarray, orientations: np.ndarray
    ) -> Features:
        """Features of a grey photo at given keypoints (N, 2), as `extract` would describe them; row i stays row i.

        scales and orientations (N,) as in Features; with `upright` the orientations are 0, whatever is given. The
        descriptor is zeros where `extract` would drop the keypoint. InputError for NaN, infinity, odd shapes.
        """
        shape = self._given(keypoints, scales, orientations)
        found, rows = self._describe(photo, shape[:, :2], shape[:, 2], shape[:, 3])
        descriptors = np.zeros((len(shape), found.shape[1]), np.float16)
        descriptors[rows] = found
        return Features(shape[:, :2], descriptors, shape[:, 2], shape[:, 2], shape[:, 3])

    def _describe(self, photo, keypoints, scales, orientations) -> tuple[np.ndarray, np.ndarray]:
        """Descriptors (M, D) float16, and the rows (M,) of the keypoints they are of."""
        from localize.networks.inference import describe  # torch takes a second to import: only where it is used

        patches, rows = extract_patches(
            photo, keypoints, scales, orientations, coefficient=self.coefficient, boundary=self.boundary
        )
        seen = patches.std((1, 2)) >= FLAT
        return describe(self._network(), patches[seen], self.batch_size).astype(np.float16), rows[seen]

    def _network(self):
        (path,) = self.files()
        return _load(path, file_stamp(path), self.precision)


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _load(path: str, stamp: tuple | None, precision: str):
    from localize.io.network_weights import load_weights
    from localize.networks.inference import prepared

    return prepared(load_weights(path)[0], precision)
