"""The two roles of matching: between two images (for the map), and from a query to 3D points."""

from typing import Protocol

from localize.types import Features, Matches2D3D, Nearest, PairMatches, PointRows


class PairMatcher(Protocol):
    """Frozen dataclass. One whose thresholds hang on the feature has `for_feature(feature)`, itself with them set."""

    VERSION: int

    def match(self, first: Features, second: Features) -> PairMatches:
        """Matches between two images; M may be 0."""
        ...


class PointMatcher(Protocol):
    """Frozen dataclass. It may have `for_feature`, as a PairMatcher."""

    VERSION: int

    def match(self, query: Features, nearest: Nearest, rows: PointRows) -> Matches2D3D:
        """Matches from the query's keypoints to their nearest 3D points, best first; M may be 0."""
        ...
