"""The role of a local feature: a photo in, keypoints with descriptors out."""

from typing import Protocol

import numpy as np

from localize.types import Features


class LocalFeature(Protocol):
    """Frozen dataclass whose fields are its hyperparameters; picklable, so that worker processes can hold it."""

    VERSION: int  # raise it when the output changes, so that old results are not reused
    grey: bool  # whether `extract` takes grey values or colours

    def extract(self, photo: np.ndarray) -> Features:
        """Features of (H, W) uint8 if `grey`, else of (H, W, 3) uint8 RGB. A photo without any gives zero rows."""
        ...
