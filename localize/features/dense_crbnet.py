"""A dense CRBNet: one small network finds keypoints and describes them in one pass, by vectors whose signs are bits.

D2-Net (Dusmanu et al., CVPR 2019) detects and describes in one pass, CRBNet (the parallel search paper) makes bits for
trees; see `networks.dense_crbnet`.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import Thresholds, check_component, problems_of
from localize.features.photos import checked_shapes
from localize.io.pixels import resized
from localize.kernels.threads import torch_for_photos
from localize.keys import file_stamp
from localize.types import Features, InputError
from localize.weights.shipped import weights_file

HALF_PX = 0.5  # the network counts from the centre of the first pixel, we from its corner
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class DenseCrbnet:
    """Keypoints to a fraction of a pixel, best score first; 256-D vectors of unit length, float16, and their signs."""

    max_keypoints: int = 4096  # the ones of the highest scores are kept
    max_size_px: int = 1600  # larger photos are shrunk to this longer side; keypoints stay in original pixels
    min_size_px: int = 1024  # smaller photos are enlarged to this longer side: keypoints of 640 px are too coarse
    threshold: float = 0.005  # of the probability that a pixel is a keypoint
    scales: tuple = (1.0, 0.5)  # of that size; 0.5 finds what others show from farther; [1.0] is faster
    weights: str = "dense_crbnet"  # the name of shipped ones, or the path of a file, such as you train yourself
    precision: str = "float32"  # bfloat16 is faster where the processor computes in it, and moves some keypoints

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "PIL")
    grey: ClassVar[bool] = True
    # chosen on Minitown's training town
    thresholds: ClassVar[Thresholds] = Thresholds(
        pair_ratio=0.9, point_ratio=0.97, sign_bits=True, calibration="confidence_dense"
    )

    def __post_init__(self):
        check_component(
            self,
            positive=("max_keypoints", "max_size_px", "min_size_px"),
            shares=("threshold",),
            choices={"precision": PRECISIONS},
        )
        if not self.scales or not all(isinstance(s, int | float) and 0 < s <= 2 for s in self.scales):
            raise InputError(f"DenseCrbnet.scales is {self.scales!r}, but must be numbers greater than 0, at most 2")
        object.__setattr__(self, "scales", tuple(float(s) for s in self.scales))

    def preflight(self) -> list[str]:
        """What is missing, or no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the features; InputError if they are missing."""
        return [weights_file(self.weights, "feature.weights", ", or take feature=sift")]

    def extract(self, photo: np.ndarray) -> Features:
        """Features of a grey photo (H, W) uint8; ValueError for another shape or type.

        `Features.scales` is how many px of the photo a px of the level is that a keypoint was found on.
        """
        levels = [self._on_level(photo, scale) for scale in self.scales]
        xy, scores, vectors, scales = (np.concatenate(part) for part in zip(*levels, strict=True))
        best = np.argsort(-scores, kind="stable")[: self.max_keypoints]
        return Features(xy[best], vectors[best].astype(np.float16), scores[best], scales[best])

    def describe_at(
        self, photo: np.ndarray, keypoints: np.ndarray, scales: np.ndarray, orientations: np.ndarray
    ) -> Features:
        """Features of a grey photo at given keypoints (N, 2), as `extract` would describe them; row i stays row i.

        The network looks at a place upright and on the first level, so scales and orientations (N,) change nothing.
        InputError for NaN, infinity, odd shapes.
        """
        shape = checked_shapes(keypoints, scales, orientations)
        _, scores, vectors, levels = self._on_level(photo, self.scales[0], shape[:, :2])
        return Features(shape[:, :2], vectors.astype(np.float16), scores, levels)

    def _on_level(self, photo: np.ndarray, scale: float, given: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """(keypoints (N, 2) px of the original, scores (N,), vectors (N, 256), px of the original a px here (N,))."""
        from localize.networks.dense_find import (  # torch takes a second: only where it is used
            describe,
            find,
            looked_at,
        )

        if photo.ndim != 2 or photo.dtype != np.uint8:
            raise ValueError(f"{photo.shape=} {photo.dtype=}, but a dense CRBNet takes grey values (H, W) uint8")
        longer = max(photo.shape)
        small, to_original = resized(photo, scale * min(max(longer, self.min_size_px), self.max_size_px) / longer)
        network = self._network()
        with torch_for_photos():
            seen = looked_at(network, small)
            if given is None:
                least = float(np.log(self.threshold / (1 - self.threshold)))
                places, scores = find(seen, self.max_keypoints, least)
            else:
                places = np.ascontiguousarray(given / to_original - HALF_PX)
                scores = seen.scores_at(places)
            vectors = describe(network, seen, places)
        level = np.full(len(places), to_original.mean(), np.float32)
        return (places + np.float32(HALF_PX)) * to_original, scores, vectors, level

    def _network(self):
        from localize.weights.dense_crbnet import dense_for_photos

        (path,) = self.files()
        return dense_for_photos(path, file_stamp(path), self.precision)
