"""SIFT keypoints with RootSIFT descriptors, as VLFeat and COLMAP have them.

Lowe, IJCV 2004; Arandjelovic & Zisserman, "Three things everyone should know", CVPR 2012 (RootSIFT).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.features.photos import checked_shapes
from localize.geometry.colmap import pycolmap
from localize.io.pixels import resized
from localize.kernels.sift_descriptor import describe
from localize.kernels.sift_detector import detect
from localize.types import Features


@dataclass(frozen=True)
class Sift:
    """SIFT keypoints with scale and orientation; 128-D RootSIFT descriptors of unit length, float16."""

    max_keypoints: int = 8192  # the ones of the largest scales are kept
    max_size_px: int = 1600  # larger photos are shrunk to this longer side; keypoints stay in original pixels
    first_octave: int = -1  # -1: the photo is enlarged twice first, finer keypoints
    peak_threshold: float = 0.02 / 3
    edge_threshold: float = 10.0
    max_orientations: int = 2  # per keypoint; each is a row of its own
    upright: bool = False  # True: all orientations are 0
    detector: str = "numba"  # pycolmap: COLMAP's own code, several times as slow; the same keypoints

    VERSION: ClassVar[int] = 1
    RANGES: ClassVar[dict] = {"first_octave": (-1, 8), "max_orientations": (1, 36)}
    grey: ClassVar[bool] = True

    def __post_init__(self):
        positive = ("max_keypoints", "max_size_px", "peak_threshold", "edge_threshold", "max_orientations")
        check_component(self, positive=positive, choices={"detector": ("numba", "pycolmap")})

    @property
    def LIBRARIES(self) -> tuple[str, ...]:
        """Those that decide the keypoints: another version may find others."""
        return ("pycolmap", "PIL") if self.detector == "pycolmap" else ("PIL",)

    def extract(self, photo: np.ndarray) -> Features:
        """Features of a grey photo (H, W) uint8; ValueError for another shape or type."""
        shape, descriptors = self.detect(photo)
        if descriptors is None:
            return self.describe_at(photo, shape[:, :2], shape[:, 2], shape[:, 3])
        descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-6)
        return Features(shape[:, :2], descriptors.astype(np.float16), shape[:, 2], shape[:, 2], shape[:, 3])

    def detect(self, photo: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Keypoints (N, 4) float32 of a grey photo: x, y, scale px and orientation rad, the largest scales first.

        With them descriptors (N, 128) float32 where the detector computes them anyway, else None. ValueError for a
        photo of another shape or type.
        """
        small, to_original = self._shrunk(photo)
        find = self._by_pycolmap if self.detector == "pycolmap" else self._by_numba
        shape, descriptors = find(small)
        shape[:, :2] *= to_original
        shape[:, 2] *= to_original.mean()
        inside = ((shape[:, :2] >= 0) & (shape[:, :2] <= photo.shape[::-1])).all(1)
        order = np.argsort(-shape[:, 2], kind="stable")
        keep = order[inside[order]][: self.max_keypoints]
        return shape[keep], None if descriptors is None else descriptors[keep]

    def describe_at(
        self, photo: np.ndarray, keypoints: np.ndarray, scales: np.ndarray, orientations: np.ndarray
    ) -> Features:
        """Features of a grey photo at given keypoints (N, 2), as `extract` would describe them; row i stays row i.

        scales and orientations (N,) as in Features; with `upright` the orientations are 0, whatever is given. The
        descriptor is zeros where nothing is seen (far outside, scale 0). InputError for NaN, infinity, odd shapes.
        """
        shape = self._given(keypoints, scales, orientations)
        small, to_original = self._shrunk(photo)
        place, sigma = shape[:, :2] / to_original, shape[:, 2] / to_original.mean()
        descriptors = describe(small, place, sigma, shape[:, 3], self.first_octave)
        return Features(shape[:, :2], descriptors.astype(np.float16), shape[:, 2], shape[:, 2], shape[:, 3])

    def _given(self, keypoints, scales, orientations) -> np.ndarray:
        """(N, 4) float32: x, y, scale and orientation of given keypoints."""
        shape = checked_shapes(keypoints, scales, orientations)
        if self.upright:
            shape[:, 3] = 0
        return shape

    def _shrunk(self, photo):
        """The photo at most `max_size_px` long, and the factors (x, y) from its pixels to the original ones."""
        if photo.ndim != 2 or photo.dtype != np.uint8:
            raise ValueError(f"{photo.shape=} {photo.dtype=}, but SIFT takes grey values (H, W) uint8")
        photo, to_original = resized(photo, min(1.0, self.max_size_px / max(photo.shape)))
        return np.ascontiguousarray(photo), to_original

    def _by_numba(self, photo):
        orientations = 0 if self.upright else self.max_orientations
        thresholds = self.peak_threshold, self.edge_threshold
        return detect(photo, self.first_octave, *thresholds, self.max_keypoints, orientations), None

    def _by_pycolmap(self, photo):
        """pycolmap's keypoints are in COLMAP's convention already: no half pixel is to be added."""
        options = pycolmap.FeatureExtractionOptions()
        options.use_gpu, options.num_threads = False, 1
        sift = options.sift
        sift.max_num_features = self.max_keypoints
        sift.first_octave, sift.upright = self.first_octave, self.upright
        sift.peak_threshold, sift.edge_threshold = self.peak_threshold, self.edge_threshold
        sift.max_num_orientations = self.max_orientations
        extractor = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)
        keypoints, descriptors = extractor.extract_from_uint8_array(photo)
        shape = [(k.x, k.y, k.compute_scale(), k.compute_orientation()) for k in keypoints]
        return np.array(shape, np.float32).reshape(-1, 4), np.array(descriptors.data, np.float32).reshape(-1, 128)
