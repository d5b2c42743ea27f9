"""The role of a global descriptor: one vector per photo, compared by dot product."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from localize.types import Features


@dataclass(frozen=True)
class NothingLearned:
    """What `fit` returns when a descriptor has nothing to learn from the references."""


class GlobalDescriptor(Protocol):
    """Frozen dataclass. `needs` says what it looks at: the photo's local `features` or its `pixels`."""

    VERSION: int
    needs: str  # "features" or "pixels"

    def fit(self, sources: Sequence[Features] | Sequence[np.ndarray]):
        """What has to be learned from the references, as a record of arrays; or `NothingLearned()`.

        The sources are what `needs` names, Features or (H, W, 3) uint8 RGB, read one at a time when asked for.
        """
        ...

    def describe(self, source: Features | np.ndarray, learned) -> np.ndarray:
        """(D,) float32 of unit length (all zeros for an empty photo), from the Features or the (H, W, 3) uint8 RGB."""
        ...


class StoredDescriptor(Protocol):
    """Frozen dataclass: global descriptors that somebody else computed; `needs` is "name"."""

    VERSION: int
    needs: str

    def read(self, name: str) -> np.ndarray:
        """(D,) float32 of unit length of the photo of this name; InputError if there is none."""
        ...
