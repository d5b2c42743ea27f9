"""What is extracted from photos, and how photos relate."""

from dataclasses import dataclass, fields, replace

import numpy as np

from localize.types.checks import check_array, check_finite, check_range


@dataclass(frozen=True, eq=False)
class Features:
    """Local features of one image."""

    keypoints: np.ndarray  # (N, 2) float32 px
    descriptors: np.ndarray  # (N, D) float16 or float32, unit length
    scores: np.ndarray  # (N,) float32, higher is better
    scales: np.ndarray | None = None  # (N,) float32, sigma of the Gaussian in px of the original image
    orientations: np.ndarray | None = None  # (N,) float32 rad, 0 = gradient to the right, +pi/2 = down

    def __post_init__(self):
        n = len(check_array(self, "keypoints", np.float32, (None, 2)))
        check_array(self, "descriptors", None, (n, None))
        check_array(self, "scores", np.float32, (n,))
        for name in ("scales", "orientations"):
            if getattr(self, name) is not None:
                check_array(self, name, np.float32, (n,))
                check_finite(self, name)
        check_finite(self, "keypoints", "descriptors", "scores")

    def __len__(self) -> int:
        return len(self.keypoints)

    def only(self, kept: np.ndarray) -> "Features":
        """Those of some keypoints: (N,) bool, or their rows in the order wanted."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return Features(**{name: None if rows is None else rows[kept] for name, rows in found.items()})

    def undescribed(self, rows: np.ndarray) -> "Features":
        """The same rows, with zeros as the descriptors of some, (N,) bool: nothing is like them."""
        return replace(self, descriptors=np.where(rows[:, None], 0, self.descriptors).astype(self.descriptors.dtype))


@dataclass(frozen=True, eq=False)
class GlobalVector:
    """Global descriptor of one image."""

    vector: np.ndarray  # (D,) float32, unit length or all zeros

    def __post_init__(self):
        check_array(self, "vector", np.float32, (None,))
        check_finite(self, "vector")


@dataclass(frozen=True, eq=False)
class Retrieval:
    """For each query the most similar references, best first."""

    query_names: tuple[str, ...]
    reference_names: tuple[str, ...]
    ranked: np.ndarray  # (Q, K) int32 into reference_names, -1 = none
    scores: np.ndarray  # (Q, K) float32, descending

    def __post_init__(self):
        check_array(self, "ranked", np.int32, (len(self.query_names), None))
        check_array(self, "scores", np.float32, self.ranked.shape)
        check_range(self, "ranked", -1, len(self.reference_names))


@dataclass(frozen=True, eq=False)
class PairMatches:
    """Matches between two images."""

    rows: np.ndarray  # (M, 2) int32, keypoint in the first and in the second image

    def __post_init__(self):
        check_array(self, "rows", np.int32, (None, 2))
        check_range(self, "rows", 0, 2**31)
