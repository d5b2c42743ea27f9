"""The roles of a local feature: a photo in, keypoints with descriptors out; or a photo's name, for those in a file."""

from typing import Protocol

import numpy as np

from localize.types import Features


class LocalFeature(Protocol):
    """Frozen dataclass whose fields are its hyperparameters; picklable, so that worker processes can hold it.

    Where other thresholds than the usual ones suit the descriptors, the class says so: `pair_ratio` of the ratio test
    between two photos (else 0.8), `point_ratio` between 3D points (else 0.9), and `min_inliers` that a pose must rest
    on (else 12). Features that can describe given keypoints also have

        describe_at(photo, keypoints (N, 2), scales (N,), orientations (N,)) -> Features

    with the photo and the units of `extract`, and descriptors that may be compared with its. Row i describes keypoint
    i, and none is left out: a model made elsewhere refers to keypoints by their row. Zeros where nothing is seen.
    """

    VERSION: int  # raise it when the output changes, so that old results are not reused
    grey: bool  # whether `extract` takes grey values or colours

    def extract(self, photo: np.ndarray) -> Features:
        """Features of (H, W) uint8 if `grey`, else of (H, W, 3) uint8 RGB. A photo without any gives zero rows."""
        ...


class StoredFeature(Protocol):
    """Frozen dataclass: features that somebody else extracted.

    One that has a file per photo names those in `files_of(name)`, so that a replaced one is a changed photo only.
    """

    VERSION: int
    path: str  # the file they are in

    def files(self) -> list[str]:
        """That path: its content is part of the key of results."""
        ...

    def read(self, name: str, width: int, height: int) -> Features:
        """Features of the photo of this name and size in px; InputError if the file does not have them."""
        ...
