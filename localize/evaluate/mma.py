"""Mean matching accuracy: which share of the matches between two photos of a flat scene is right within some pixels.

The protocol of D2-Net (Dusmanu et al., CVPR 2019, section 5.1) on HPatches' sequences: photo 1 against each of the five
others; of a pair without matches the accuracy is 0; the mean of all pairs counts, so that a feature with few matches is
worth as much as one with many.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.evaluate.grids import Grid
from localize.geometry.homography import apply

THRESHOLDS_PX = tuple(range(1, 11))
SHOWN_PX = (1, 2, 3, 5, 10)
LEFT_OUT = {  # whose photos are larger than 1600 x 1200 px, which some features cannot take; the protocol omits them
    "i_contruction", "i_crownnight", "i_dc", "i_pencils", "i_whitebuilding", "v_artisans", "v_astronautis", "v_talent",
}  # fmt: skip


@dataclass(frozen=True)
class PairAccuracy:
    """One pair of photos."""

    sequence: str
    kind: str  # illumination | viewpoint | other
    photo: int  # 2 to 6, against photo 1
    features: tuple[int, int]
    matches: int
    shares: tuple[float, ...]  # right within THRESHOLDS_PX


def shares_within(first: np.ndarray, second: np.ndarray, homography: np.ndarray) -> tuple[float, ...]:
    """Shares of matches (M, 2), (M, 2) whose first place the homography takes to within 1 to 10 px of the second."""
    if not len(first):
        return (0.0,) * len(THRESHOLDS_PX)
    error = np.linalg.norm(apply(homography, first.astype(np.float64)) - second, axis=1)
    return tuple(float((error <= t).mean()) for t in THRESHOLDS_PX)


def by_kind(pairs: Sequence[PairAccuracy]) -> dict[str, dict]:
    """Of each kind of sequence there is, and of all: number of pairs, MMA by threshold, mean features and matches."""
    kinds = [k for k in ("illumination", "viewpoint", "other") if any(p.kind == k for p in pairs)]
    return {k: _mean([p for p in pairs if k in (p.kind, "all")]) for k in [*kinds, "all"]}


def _mean(pairs: list[PairAccuracy]) -> dict:
    once = {(p.sequence, 1): p.features[0] for p in pairs} | {(p.sequence, p.photo): p.features[1] for p in pairs}
    return {
        "pairs": len(pairs),
        "mma": np.mean([p.shares for p in pairs], axis=0).tolist(),
        "features": float(np.mean(list(once.values()))),  # a photo
        "matches": float(np.mean([p.matches for p in pairs])),  # a pair
    }


def mma_table(name: str, kinds: dict[str, dict]) -> Grid:
    """One row for each kind of sequence."""
    header = ("sequences", "pairs", "features", "matches", *(f"MMA@{t}" for t in SHOWN_PX))
    rows = [
        (kind, m["pairs"], round(m["features"]), round(m["matches"]), *(100 * m["mma"][t - 1] for t in SHOWN_PX))
        for kind, m in kinds.items()
    ]
    title = f"{name}: mutual nearest neighbours that are right within so many pixels, in percent, mean over pairs"
    return Grid("mma", title, header, tuple(rows))
