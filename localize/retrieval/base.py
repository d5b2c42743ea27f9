"""The roles of a global descriptor, one vector per photo, of a ranking, which compares them, and of a re-ranker."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from localize.types import Features, ImageList, Regions, Retrieval, VisualWords

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
    """A ranking or a re-ranker that builds something; fields made with `query_field` change without building anew."""

    def build(self, vectors: np.ndarray):
        """A record, which the store keeps, of vectors (R, D) float32 or float16, possibly memory-mapped.

        A re-ranker's has a length, R, by which a saved map knows that it is of these references.
        """
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
    """What a re-ranker may look at. Features and regions by photo name; None where there are none."""

    queries: ImageList
    query_vectors: np.ndarray  # (Q, D) float32
    references: ImageList
    reference_vectors: np.ndarray  # (R, D) float32 or float16
    query_features: Mapping[str, Features] | None = None
    reference_features: Mapping[str, Features] | None = None
    query_regions: Mapping[str, Regions | VisualWords] | None = None  # for a RegionReranker alone
    reference_regions: Mapping[str, Regions | VisualWords] | None = None
    threads: int | None = None  # that a re-ranker may use; None: as many as BLAS may
    allowed: Mapping[int, np.ndarray] = field(default_factory=dict)  # by query: ascending rows it may find; absent: all
    own: Mapping[int, int] = field(default_factory=dict)  # by query: the reference that is the same photo, if one is
    built: object = None  # what the re-ranker's `build` made of the reference_vectors; None: it has none, or nobody did

    def findable(self, query: int) -> np.ndarray:
        """Ascending rows (N,) int64 of the references that this query may find."""
        rows = self.allowed.get(query, np.arange(len(self.references)))
        return rows[rows != self.own.get(query, -1)]


@runtime_checkable
class Reranker(Protocol):
    """Frozen dataclass: puts the best references of each query into another order, on better grounds."""

    VERSION: int

    def rerank(self, ranking: Retrieval, sources: RankingSources) -> Retrieval:
        """The references of each query again, best first, with scores of its own; it may leave some out (-1).

        Others may take their place, as many as there were at most, if they are `findable`.
        """
        ...


@runtime_checkable
class RegionReranker(Protocol):
    """A re-ranker that compares regions of photos, or their visual words, which are found once for each and kept.

    Fields made with `query_field` change without finding regions anew.
    """

    num_verified: int | None  # best references of each query whose regions it looks at; None: all references

    def learn(self, photos: Sequence[np.ndarray]):
        """What of the references decides which regions are found, as a record; or `NothingLearned()`.

        photos: (H, W, 3) uint8 RGB, read one at a time when asked for.
        """
        ...

    def find_regions(self, photo: np.ndarray, learned, *, of_query: bool) -> Regions | VisualWords:
        """The regions of a photo (H, W, 3) uint8 RGB, as they are wanted of a query or of a reference."""
        ...


@runtime_checkable
class CountsInliers(Protocol):
    """A re-ranker whose scores are numbers of inliers, plus less than 1."""

    num_verified: int  # best references of each query whose inliers it counts

    def match(self, query: Regions, reference: Regions):
        """What two photos have in common, with its `score`."""
        ...
