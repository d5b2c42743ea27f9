"""SIFT keypoints whose patches a network describes: what SiftCrbnet and SiftTfeat share."""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, problems_of
from localize.features.sift import Sift
from localize.kernels.patches import BOUNDARIES, FLAT, extract_patches
from localize.keys import file_stamp
from localize.types import Features
from localize.weights.shipped import weights_file


@dataclass(frozen=True)
class SiftPatches(Sift):
    """SIFT keypoints with scale and orientation; learned descriptors of their patches, unit length, float16.

    A keypoint whose patch shows nothing is dropped. Patches are cut from the photo as it came, also where the keypoints
    were found in a smaller one. A class of this kind sets the fields' defaults, and has `load(path)`, a static method
    that gives its network, with the parts that `networks.inference.prepared` asks for.
    """

    weights: str = ""  # the name of known ones, or the path of a file
    coefficient: float = 13.0  # side of the patch, in units of the keypoint's scale
    boundary: str = "replicate"  # the photo's edge goes on in patches that leave it; drop: without them
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key
    batch_size: int | None = None  # patches at a time; None: 64 on a CPU, 512 on a GPU

    GPU_MB: ClassVar[int] = 500  # of a process's network: 32 channels of 512 patches are 67 MB, a few at a time

    def __post_init__(self):
        super().__post_init__()
        choices = {"boundary": BOUNDARIES, "precision": ("auto", "float32", "bfloat16")}
        check_component(self, positive=("coefficient", "batch_size"), choices=choices)

    @property
    def LIBRARIES(self) -> tuple[str, ...]:
        """Those that decide the keypoints and descriptors."""
        return (*super().LIBRARIES, "torch")

    def preflight(self) -> list[str]:
        """What is missing, or no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the descriptors; InputError if they are missing."""
        return [weights_file(self.weights, "feature.weights", ", or take feature=sift")]

    def extract(self, photo: np.ndarray) -> Features:
        """Features of a grey photo (H, W) uint8; ValueError for another shape or type."""
        shape, _ = self.detect(photo)
        descriptors, rows = self._describe(photo, shape[:, :2], shape[:, 2], shape[:, 3])
        shape = shape[rows]
        return Features(shape[:, :2], descriptors, shape[:, 2], shape[:, 2], shape[:, 3])

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
        return _prepared(self.load, path, file_stamp(path), self.precision)


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _prepared(load, path: str, stamp: tuple | None, precision: str):
    from localize.networks.inference import prepared

    return prepared(load(path), precision)
