"""Regions of activation maps: what is matched by deep spatial matching, in place of local features.

Simeoni, Avrithis & Chum, "Local features and visual words emerge in activations", CVPR 2019, section 3. Each channel
of a backbone's map is a visual word, each maximally stable region of it an occurrence.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from localize.components import check_component
from localize.kernels.region_ellipses import boxes_and_strengths, without_overlaps
from localize.kernels.stable_regions import stable_regions
from localize.types import Regions

log = logging.getLogger(__name__)

STEP = 12  # levels over which a region must be stable: the authors' code has at most as many
STEP_SHARE = 0.6  # of the non-zero activations lie below a step
CROWDED = 36  # regions of a channel from which the authors' code skips it
MAX_OVERLAP = 0.2  # of the boxes of two regions of a reference
_ANGLES = np.linspace(0, 2 * np.pi, 40)
_CIRCLE = np.column_stack((np.cos(_ANGLES), np.sin(_ANGLES)))


@dataclass(frozen=True)
class RegionSettings:
    """How regions are found and which are kept. Defaults are the paper's where its authors' code differs."""

    quant: str = "dataset"  # levels of MSER: dataset (12 / the references' p60, a step is 12) or raw (the code's)
    polarity: str = "bright"  # bright regions (the paper) or both, dark ones too (the code)
    crowded: str = "keep"  # channels with many regions: keep the strongest (the code) or drop them all (the paper)
    per_channel_query: int = 20  # regions of one channel and scale of a query
    per_channel_reference: int = 10  # the same of a reference
    max_regions: int | None = None  # of one scale, then of all together; None: all, but in `Dsm` as its backbone asks

    def __post_init__(self):
        check_component(
            self,
            positive=("per_channel_query", "per_channel_reference", "max_regions"),
            choices={"quant": ("dataset", "raw"), "polarity": ("bright", "both"), "crowded": ("keep", "drop")},
        )


def count_activations(activations: np.ndarray) -> np.ndarray:
    """(32768,) int64: how many activations fall in each bin of `gain_of`; the sum over photos is that of the dataset.

    activations: one map or many, float32, of any shape, at scale 1. Only those greater than 0 are counted. A bin is one
    value of the upper half of a float32's bits, which rise with it: at most 0.8 % wide.
    """
    positive = np.ascontiguousarray(activations[activations > 0], np.float32)
    return np.bincount(positive.view(np.uint32) >> 16, minlength=2**15)


def gain_of(counts: np.ndarray) -> float:
    """The factor for `quant=dataset`: 12 / the 60th percentile of the non-zero activations counted; 1 if none is."""
    if not counts.any():
        return 1.0
    reached = np.cumsum(counts)
    wanted = STEP_SHARE * reached[-1]
    bin = int(np.searchsorted(reached, wanted))
    low, high = (np.array([bin, bin + 1], np.uint32) << 16).view(np.float32).astype(np.float64)
    within = (wanted - (reached[bin] - counts[bin])) / counts[bin]
    return STEP / float(low + within * (high - low))


class _Found(NamedTuple):
    """Regions of one map, rows as in `Regions`."""

    centers: np.ndarray
    covariances: np.ndarray
    channels: np.ndarray
    strengths: np.ndarray

    def only(self, rows: np.ndarray) -> "_Found":
        return _Found(*(values[rows] for values in self))


def regions_of(
    maps: Sequence[np.ndarray], settings: RegionSettings, of_query: bool, gain: float | None = None
) -> Regions:
    """The regions of one photo, from its activation maps, (C, h, w) float32, largest scale first.

    of_query: whether the caps of a query hold, and nothing is suppressed, or those of a reference. gain: what `gain_of`
    the references' activations is, for `quant=dataset`. One thread, without the GIL; deterministic.
    """
    found = [_regions_of_map(np.ascontiguousarray(m, np.float32), settings, of_query, gain) for m in maps]
    levels = np.repeat(np.arange(len(maps)), [len(f.channels) for f in found])
    merged = _Found(*(np.concatenate(values) for values in zip(*found, strict=True)))
    kept = np.argsort(-merged.strengths, kind="stable")[: settings.max_regions]
    kept = kept[np.lexsort((-merged.strengths[kept], merged.channels[kept], levels[kept]))]
    sizes = np.array([m.shape[1:] for m in maps])
    return Regions(**merged.only(kept)._asdict(), levels=levels[kept], sizes=sizes)


def _regions_of_map(activations: np.ndarray, settings: RegionSettings, of_query: bool, gain: float | None) -> _Found:
    """The regions of one scale that are kept there, by channel."""
    rows = _stable(activations, settings, gain)
    found, means, factors = _ellipses(rows)
    if settings.crowded == "keep":
        spared = _num_of_channel(found.channels) <= CROWDED
        found, means, factors = found.only(spared), means[spared], factors[spared]
    boxes, strengths = boxes_and_strengths(means, factors, found.channels, activations, _CIRCLE)
    order = np.argsort(-strengths, kind="stable")[: np.count_nonzero(strengths > 0)]
    if not of_query:
        order = order[without_overlaps(boxes[order], MAX_OVERLAP)]
    found = found._replace(strengths=strengths).only(order)
    found = found.only(np.argsort(found.channels, kind="stable"))  # within a channel the strongest stay first
    share = len(np.unique(found.channels)) / max(len(activations), 1)
    log.debug("%.1f %% of the channels of a map have a region; near 0, its activations are scaled wrongly", 100 * share)
    return _capped(found, settings, of_query)


def _stable(activations: np.ndarray, settings: RegionSettings, gain: float | None) -> np.ndarray:
    """Rows of `stable_regions`, by channel."""
    step = STEP
    if settings.quant == "raw":
        gain, step = 1.0, _step_of(activations[activations != 0])
    elif gain is None:
        raise ValueError("quant=dataset needs the gain of the references' activations")
    values = np.clip(np.floor(activations * np.float32(gain) + np.float32(0.5)), 0, 255).astype(np.uint8)
    rows = stable_regions(255 - values, step)
    if settings.polarity == "both":
        rows = np.concatenate((rows, stable_regions(values, step)))
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return rows


def _step_of(values: np.ndarray) -> int:
    """The step of the authors' code from the non-zero activations of one map, that of the lowest bin if none is less.

    The last of 1,000 bins below which and in which less than 60 % of them lie; its centre, rounded.
    """
    if not values.size:
        return STEP
    counts, edges = np.histogram(values.astype(np.float64), 1000)
    bin = max(int(np.count_nonzero(np.cumsum(counts) < STEP_SHARE * values.size)) - 1, 0)
    return min(int(np.floor((edges[bin] + edges[bin + 1]) / 2 + 0.5)), STEP)


def _ellipses(rows: np.ndarray) -> tuple[_Found, np.ndarray, np.ndarray]:
    """The regions that are not cells in one line: with means in array cells, and Cholesky factors of the covariances.

    One whose covariance is too flat for float32 counts as a line.
    """
    area, x, y, xx, xy, yy = rows[:, 2:].T.astype(np.float64)  # sums are whole and below 2^53
    full = np.column_stack((area * xx - x * x, area * xy - x * y, area * yy - y * y))
    covariances = (full / (area * area)[:, None]).astype(np.float32)
    a, b, c = covariances.T.astype(np.float64)
    solid = (full[:, 0] * full[:, 2] > full[:, 1] ** 2) & (a > 0) & (a * c - b * b > 0)
    means = np.column_stack((x / area, y / area))[solid]
    a, b, c = a[solid], b[solid], c[solid]
    factors = np.column_stack((np.sqrt(a), b / np.sqrt(a), np.sqrt((a * c - b * b) / a)))
    centers = (means + 0.5).astype(np.float32)
    channels = rows[solid, 0]
    return _Found(centers, covariances[solid], channels, np.zeros(len(channels), np.float32)), means, factors


def _num_of_channel(channels: np.ndarray) -> np.ndarray:
    """For each region how many there are of its channel."""
    return np.bincount(channels, minlength=1)[channels]


def _capped(found: _Found, settings: RegionSettings, of_query: bool) -> _Found:
    """What the caps of one scale leave, of regions by channel and then by strength."""
    cap = settings.per_channel_query if of_query else settings.per_channel_reference
    if settings.crowded == "drop":
        kept = _num_of_channel(found.channels) <= cap
    else:
        kept = np.arange(len(found.channels)) - np.searchsorted(found.channels, found.channels) < cap
    found = found.only(kept)
    return found.only(np.argsort(-found.strengths, kind="stable")[: settings.max_regions])
