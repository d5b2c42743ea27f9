"""The roles of a local feature: a photo in, keypoints with descriptors out; or a photo's name, for those in a file."""

from typing import Protocol, runtime_checkable

import numpy as np

from localize.types import Features


@runtime_checkable
class LocalFeature(Protocol):
    """Frozen dataclass whose fields are its hyperparameters; picklable, so that worker processes can hold it.

    Where other thresholds than the usual ones suit the descriptors, or their signs are bits, the class says so in
    `thresholds` (`components.Thresholds`).
    """

    VERSION: int  # raise it when the output changes, so that old results are not reused
    grey: bool  # whether `extract` takes grey values or colours

    def extract(self, photo: np.ndarray) -> Features:
        """Features of (H, W) uint8 if `grey`, else of (H, W, 3) uint8 RGB; ValueError for another shape or type.

        A photo without any gives zero rows.
        """
        ...


@runtime_checkable
class DescribesGiven(Protocol):
    """A local feature that can also describe keypoints found by others."""

    def describe_at(
        self, photo: np.ndarray, keypoints: np.ndarray, scales: np.ndarray, orientations: np.ndarray
    ) -> Features:
        """Features at keypoints (N, 2) px, scales (N,) px and orientations (N,) rad, as `extract` describes its own.

        Row i describes keypoint i, and none is left out: a model made elsewhere refers to keypoints by their row. Zeros
        where nothing is seen.
        """
        ...


@runtime_checkable
class StoredFeature(Protocol):
    """Frozen dataclass: features that somebody else extracted. Its `files()` are those that all photos hang on."""

    VERSION: int

    def read(self, name: str, width: int, height: int) -> Features:
        """Features of the photo of this name and size in px; InputError if the file does not have them."""
        ...


@runtime_checkable
class FilesPerPhoto(Protocol):
    """Stored features that lie in files of their own for each photo."""

    def photo_files(self, name: str) -> list[str]:
        """The files that hold this photo's features and no other's; a replaced one is a changed photo only."""
        ...


def photo_files(feature: StoredFeature, name: str) -> list[str]:
    """The files that hold this photo's features and no other's."""
    return feature.photo_files(name) if isinstance(feature, FilesPerPhoto) else []
