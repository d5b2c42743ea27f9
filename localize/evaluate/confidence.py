"""Whether the confidence of poses is honest: reliability, risk against coverage, errors against their deviations.

A confidence is a probability, so of the poses that have 0.8 four in five should be right.

Reliability: Murphy & Winkler, "Reliability of subjective probability forecasts of precipitation and temperature",
Applied Statistics 1977. Its error in bins: Naeini et al., "Obtaining well calibrated probabilities using Bayesian
binning", AAAI 2015. Risk and coverage: El-Yaniv & Wiener, "On the foundations of noise-free selective classification",
JMLR 2010.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi, rankdata

from localize.types.checks import check_array

AXES = 3  # over which the variances of a position and of an orientation are summed
DRAWS = 200  # of right and wrong, to see what a calibrated confidence would show by chance


@dataclass(frozen=True, eq=False)
class Judged:
    """Queries whose pose can be judged; NaN where there is no pose, and in the errors of photos that do not belong."""

    confidence: np.ndarray  # (N,) float64, 0..1
    right: np.ndarray  # (N,) bool; False where there is no pose
    inliers: np.ndarray  # (N,) int64
    error_m: np.ndarray  # (N,) float64
    error_deg: np.ndarray  # (N,) float64
    position_sd_m: np.ndarray  # (N,) float64; NaN where nothing estimated it
    orientation_sd_deg: np.ndarray  # (N,) float64; likewise

    def __post_init__(self):
        n = len(check_array(self, "confidence", np.float64, (None,)))
        check_array(self, "right", bool, (n,))
        check_array(self, "inliers", np.int64, (n,))
        for name in ("error_m", "error_deg", "position_sd_m", "orientation_sd_deg"):
            check_array(self, name, np.float64, (n,))

    def __len__(self) -> int:
        return len(self.confidence)

    def where(self, chosen: np.ndarray) -> "Judged":
        """The queries of a mask (N,) or of row numbers."""
        return Judged(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @property
    def posed(self) -> "Judged":
        """Those that have a pose, and so a confidence."""
        return self.where(np.isfinite(self.confidence))


@dataclass(frozen=True, eq=False)
class Reliability:
    """Poses in bins of about equal number, by rising confidence; equal confidences share a bin."""

    number: np.ndarray  # (B,) int64
    confidence: np.ndarray  # (B,) mean
    right: np.ndarray  # (B,) share

    @property
    def calibration_error(self) -> float:
        """Mean distance between confidence and share of right ones, weighted by number; NaN without poses."""
        if not len(self.number):
            return float("nan")
        return float(np.average(np.abs(self.confidence - self.right), weights=self.number))


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int) -> Reliability:
    """Of confidences (N,) in 0..1 and whether each pose is right (N,)."""
    if not len(confidence):
        return Reliability(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    at = ((rankdata(confidence) - 0.5) * bins / len(confidence)).astype(int)
    number = np.bincount(at)
    filled = np.flatnonzero(number)
    sums = [np.bincount(at, weights=values)[filled] for values in (confidence, right)]
    return Reliability(number[filled], *(s / number[filled] for s in sums))


def calibration_error_by_chance(confidence: np.ndarray, bins: int, seed: int = 0) -> float:
    """The mean calibration error of poses that are right exactly as often as these confidences say.

    It is above 0, as few poses per bin scatter; an error of about this size says nothing against the confidence.
    """
    if not len(confidence):
        return float("nan")
    rng = np.random.default_rng(seed)
    drawn = rng.random((DRAWS, len(confidence))) < confidence
    return float(np.mean([reliability(confidence, right, bins).calibration_error for right in drawn]))


def brier_score(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean squared difference between confidence and right = 1, wrong = 0; NaN without poses."""
    return float(np.mean((confidence - right) ** 2)) if len(confidence) else float("nan")


def risk_coverage(confidence: np.ndarray, right: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk), each (N,): of the k most confident poses, their share of all `total` queries and the share of
    wrong ones among them.

    Equal confidences cannot be told apart: each of them counts as wrong as they are on average.
    """
    order = np.argsort(-confidence, kind="stable")
    _, group = np.unique(confidence[order], return_inverse=True)
    wrong = ~np.asarray(right, bool)[order]
    mean = np.bincount(group, weights=wrong) / np.maximum(np.bincount(group), 1)
    accepted = np.arange(1, len(order) + 1)
    return accepted / max(total, 1), np.cumsum(mean[group]) / accepted


def area_under_risk(risk: np.ndarray) -> float:
    """Mean risk over all coverages that were reached, 0 at best; NaN without poses."""
    return float(np.mean(risk)) if len(risk) else float("nan")


def least_area(wrong: int, number: int) -> float:
    """That area if every right pose were more confident than every wrong one."""
    accepted = np.arange(1, number + 1)
    return area_under_risk(np.maximum(0, accepted - (number - wrong)) / accepted)


def normalised_errors(judged: Judged) -> dict[str, np.ndarray]:
    """error / standard deviation of the right poses, by `position` and `orientation`, sorted.

    Wrong poses are left out: they have no small error that a deviation could describe, and confidence speaks of them.
    """
    right = judged.where(judged.right)
    pairs = {
        "position": (right.error_m, right.position_sd_m),
        "orientation": (right.error_deg, right.orientation_sd_deg),
    }
    return {name: np.sort((e / sd)[np.isfinite(e) & (sd > 0)]) for name, (e, sd) in pairs.items()}


def expected_share(ratio: np.ndarray, axes: int = AXES) -> np.ndarray:
    """Share of errors within `ratio` standard deviations, if all is Gaussian and `axes` axes are equally uncertain.

    The squared deviation is the sum over three axes, so (error / deviation)^2 times `axes` follows a chi-square of so
    many degrees of freedom: 3 where the axes are alike, 1 where one of them (mostly the depth) outweighs the others.
    """
    return chi.cdf(np.asarray(ratio) * np.sqrt(axes), axes)


def expected_median(axes: int = AXES) -> float:
    """Median of error / deviation under the same assumption: 0.888 for three axes, 0.674 for one."""
    return float(chi.ppf(0.5, axes) / np.sqrt(axes))
