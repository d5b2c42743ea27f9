"""The roles of a global descriptor, one vector per photo, of a ranking, which compares them, and of a re-ranker."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from localize.types import Features, ImageList, Retrieval

NEEDS = ("features", "pixels", "both")  # what a global descriptor may look at


@dataclass(frozen=True)
class NothingLearned:
    """What `fit` returns when a descriptor has nothing to learn from the references."""


@runtime_checkable
class GlobalDescriptor(Protocol):
    """Frozen dataclass. `needs` says what it looks at: the photo's local `features`, its `pixels`, or `both`."""

    VERSION: int
    needs: str  # "features", "pixels" or "both"

    def fit(self, sources: Sequence[Features] | Sequence[np.ndarray]):
        """What has to be learned from the references, as a record of arrays; or `NothingLearned()`.

        The sources are what `needs` names, Features, (H, W, 3) uint8 RGB or PhotoSource, read one at a time when asked
        for.
        """
        ...

    def describe(self, source: Features | np.ndarray, learned) -> np.ndarray:
        """(D,) float32 of unit length (all zeros for an empty photo), from the Features or the (H, W, 3) uint8 RGB."""
        ...


@runtime_checkable
class Whitened(Protocol):
    """A global descriptor that +pipeline=learn_whitening can learn a whitening for; fields `whitening` and `dim`."""

    whitening: str | None  # path of the learned file
    dim: int | None  # values that are kept

    def made_with(self) -> str:
        """The settings and weights that a whitening belongs to, as text."""
        ...


@runtime_checkable
class StoredDescriptor(Protocol):
    """Frozen dataclass: global descriptors that somebody else computed."""

    VERSION: int

    def read(self, name: str) -> np.ndarray:
        """(D,) float32 of unit length of the photo of this name; InputError if there is none."""
        ...


@runtime_checkable
class GivenRanking(Protocol):
    """Frozen dataclass: the references of each query, listed by somebody else. Nothing is learned or described."""

    VERSION: int

    def ranking(self, queries: ImageList, references: ImageList, num_frames: int) -> Retrieval:
        """Up to `num_frames` references of each query, best first; InputError if the list does not fit the photos."""
        ...


@runtime_checkable
class Ranking(Protocol):
    """Frozen dataclass: how the references nearest to a vector are searched.

    The class `restrictions.Restrictions` holds the fields that all of ours share: which references may be found, and
    the re-rankers.
    """

    VERSION: int
    vectors_dtype: str  # float32 or float16, in which the references' vectors are kept

    def search(
        self, built, vectors: np.ndarray, asked: np.ndarray, num_found: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Dot products (Q, K) float32, descending, and rows (Q, K) int64 of the nearest of vectors (R, D), -1 = none.

        asked (Q, D) float32; vectors may be float16 and memory-mapped; rows: search only among these, ascending.
        """
        ...


@runtime_checkable
class PreparedRanking(Protocol):
    """A ranking that builds something for its search; fields made with `query_field` change without building anew."""

    def build(self, vectors: np.ndarray):
        """A record, which the store keeps, of vectors (R, D) float32 or float16, possibly memory-mapped."""
        ...


@runtime_checkable
class RestrictedRanking(Protocol):
    """A ranking that lets a query find some references only."""

    def searches(self, queries: ImageList, references: ImageList) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """(rows of queries, ascending rows of the references they may find or None for all), each query once."""
        ...


@runtime_checkable
class RerankedRanking(Protocol):
    """A ranking whose best references are put into another order."""

    rerank: tuple  # re-rankers, applied in order
    num_reranked: int  # references of each query that they see


class PhotoSource:
    """A photo for a descriptor that needs `both`: its features and its pixels, each read when first asked for."""

    def __init__(self, read_features: Callable[[], Features], read_pixels: Callable[[], np.ndarray]):
        self._read_features, self._read_pixels = read_features, read_pixels

    @functools.cached_property
    def features(self) -> Features:
        """Local features."""
        return self._read_features()

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return self._read_pixels()


@dataclass(frozen=True, eq=False)
class RankingSources:
    """What a re-ranker may look at. Features by photo name; None where there are none, as in a saved map."""

    queries: ImageList
    query_vectors: np.ndarray  # (Q, D) float32
    references: ImageList
    reference_vectors: np.ndarray  # (R, D) float32 or float16
    query_features: Mapping[str, Features] | None = None
    reference_features: Mapping[str, Features] | None = None


@runtime_checkable
class Reranker(Protocol):
    """Frozen dataclass: puts the best references of each query into another order, on better grounds."""

    VERSION: int

    def rerank(self, ranking: Retrieval, sources: RankingSources) -> Retrieval:
        """The references of each query again, best first, with scores of its own; it may leave some out (-1)."""
        ...
