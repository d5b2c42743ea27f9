"""The roles of a mapping method: keypoints, matches and known poses in, 3D points out; or a supplied model in."""

import collections.abc
from typing import Protocol, runtime_checkable

import numpy as np

from localize.types import ImageList, Map, PairMatches, SourceModel


@runtime_checkable
class Mapping(Protocol):
    """Frozen dataclass."""

    VERSION: int
    pairs: str  # of references that are matched: one of `mapping.pairs.PAIRS`
    num_neighbours: int  # each reference is matched with this many most similar ones

    def build(
        self,
        images: ImageList,
        keypoints: collections.abc.Mapping[str, np.ndarray],
        matches: collections.abc.Mapping[tuple[str, str], PairMatches],
    ) -> Map:
        """Map from images with poses, keypoints (N, 2) px by name and matches by pair of names."""
        ...


@runtime_checkable
class MapImport(Protocol):
    """Frozen dataclass: the map is a model that came with the scene."""

    VERSION: int

    def import_model(
        self,
        model: SourceModel,
        images: ImageList,
        names: collections.abc.Mapping[str, str],
        keypoints: collections.abc.Mapping[str, np.ndarray],
    ) -> Map:
        """Map of the images out of the model; names: theirs in the model; keypoints (N, 2) px by image name."""
        ...
