"""Which keypoints of its photos a supplied 3D model uses: the others need no descriptor."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from localize.types import SourceModel

OTHERS = (
    "the features are not the ones the model was made from: name the COLMAP database whose keypoints it counts "
    "(dataset.database of dataset=colmap), or take mapping=triangulation"
)


@dataclass(frozen=True, eq=False)
class UsedKeypoints:
    """The keypoints of the model's photos that see a point: of photo i, rows indptr[i] to indptr[i + 1]."""

    names: tuple[str, ...]  # of the photos, as in the model
    indptr: np.ndarray  # (I + 1,) int64
    keypoint: np.ndarray  # (K,) int32, ascending within a photo

    VERSION: ClassVar[int] = 1

    def of(self, name: str) -> np.ndarray:
        """Those of a photo, (K,) int32 ascending; none where the model does not know it."""
        i = self._number.get(name)
        return np.zeros(0, np.int32) if i is None else np.asarray(self.keypoint[self.indptr[i] : self.indptr[i + 1]])

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}


def used_keypoints(model: SourceModel) -> tuple[UsedKeypoints, SourceModel]:
    """The keypoints that the model uses, and the same model that counts these alone."""
    of_photo = model.image.astype(np.int64) << 32 | model.keypoint
    used, number = np.unique(of_photo, return_inverse=True)
    del of_photo
    indptr = np.searchsorted(used >> 32, np.arange(len(model.names) + 1))
    keypoint = (number.reshape(-1) - indptr[model.image]).astype(np.int32)
    found = UsedKeypoints(model.names, indptr, (used & 0xFFFFFFFF).astype(np.int32))
    return found, dataclasses.replace(model, keypoint=keypoint)
