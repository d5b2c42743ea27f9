"""The role of structure from motion: keypoints and matches of photos in, their poses, cameras and 3D points out."""

import collections.abc
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from localize.types import ImageList, Map, PairMatches


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """Photos with poses, in a frame and a unit of their own, and the points they see."""

    map: Map  # its images have refined cameras
    reprojection_px: float  # mean of all observations
    left_out: dict[str, str] = field(default_factory=dict)  # photo without a pose: why

    VERSION: ClassVar[int] = 1


@runtime_checkable
class Reconstruction(Protocol):
    """Frozen dataclass."""

    VERSION: int
    pairs: str  # of photos that are matched: retrieval or exhaustive
    num_neighbours: int  # each photo is matched with this many most similar ones; few photos: with all

    def reconstruct(
        self,
        images: ImageList,
        keypoints: collections.abc.Mapping[str, np.ndarray],
        matches: collections.abc.Mapping[tuple[str, str], PairMatches],
    ) -> Reconstructed:
        """The largest model; `images` have first cameras, and those with `taken` of one device share theirs.

        keypoints (N, 2) px by name; matches by pair of names. InputError if no model comes out.
        """
        ...
