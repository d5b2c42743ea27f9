"""The two roles of matching: between two images (for the map), and from a query to 3D points."""

from typing import Protocol, runtime_checkable

from localize.types import Features, Image, Matches2D3D, Nearest, PairMatches, PointRows


@runtime_checkable
class PairMatcher(Protocol):
    """Frozen dataclass. Thresholds that hang on the feature are named in `SUITED`, see `localize.components`."""

    VERSION: int

    def match(self, first: Features, second: Features) -> PairMatches:
        """Matches between two images; M may be 0."""
        ...


@runtime_checkable
class PosedPairMatcher(PairMatcher, Protocol):
    """A PairMatcher that makes use of known poses, for the map; what judges the poses asks it for `match`."""

    def match_posed(self, first: Features, second: Features, images: tuple[Image, Image]) -> PairMatches:
        """Matches between two images with poses; M may be 0."""
        ...


@runtime_checkable
class PointMatcher(Protocol):
    """Frozen dataclass. It may have `SUITED`, as a PairMatcher."""

    VERSION: int

    def match(self, query: Features, nearest: Nearest, rows: PointRows) -> Matches2D3D:
        """Matches from the query's keypoints to their nearest 3D points, best first; M may be 0."""
        ...
