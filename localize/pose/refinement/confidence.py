"""How probable it is that a pose is right, from what the guided round saw.

A logistic regression on few measures without units, so that one calibration serves features and scenes of any size.
`+pipeline=calibrate_confidence` fits it.
"""

import functools
import json
import math
import pathlib
from dataclasses import dataclass

import numpy as np

from localize.keys import file_stamp
from localize.types import Evidence, InputError, PoseEstimate
from localize.weights.shipped import FOLDER

MEASURES = ("surprise", "share", "gain", "spread", "position_sd", "rival")
RIGHT_SHARE, RIGHT_DEG = 0.05, 5.0  # a right pose: centre within this share of the distance to what it sees, and angle


def surprise(evidence: Evidence) -> float:
    """Log likelihood ratio (nats) of as many points found as were, against as many as chance finds (Poisson).

    Points found at wrong places of the same photo say what chance is; one more of them is never impossible.
    """
    found, chance = evidence.found, evidence.by_chance + 1
    return found * math.log(found / chance) - (found - chance) if found > chance else 0.0


def measures(evidence: Evidence, position_sd_m: float | None) -> np.ndarray:
    """(6,) what the regression looks at, in the order of MEASURES; finite for whatever evidence."""
    sd = 1.0 if position_sd_m is None or not evidence.depth_m else position_sd_m / evidence.depth_m
    return np.array([
        math.log1p(surprise(evidence)),
        math.log((evidence.found + 1) / (min(evidence.in_view, evidence.keypoints) + 10)),
        math.log((evidence.found + 1) / (evidence.first_inliers + 1)),
        math.log(evidence.spread + 1 / 64),
        math.log(min(1.0, max(1e-4, sd))),
        math.log1p(evidence.rival),
    ])  # fmt: skip


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probability 1 / (1 + exp(-(weights (m - mean) / scale + bias))) of measures m; all (6,), but for bias."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    def probability(self, seen: np.ndarray) -> np.ndarray:
        """Of measures (6,) or (N, 6)."""
        return 1 / (1 + np.exp(-((seen - self.mean) / self.scale @ self.weights + self.bias).clip(-30, 30)))


def calibration_path(path: str | None) -> str:
    """Of the file, or of a calibration that ships, by its name; None: the usual one."""
    name = path or "confidence"
    return name if pathlib.Path(name).suffix else str(FOLDER / f"{name}.json")


def read_calibration(path: str | None) -> Calibration:
    """The calibration of a file, or one that ships; InputError if it cannot be used."""
    path = calibration_path(path)
    return _read(path, file_stamp(path))


@functools.lru_cache(maxsize=4)
def _read(path: str, stamp) -> Calibration:
    """Once per file; a replaced one has another stamp."""
    try:
        text = json.loads(pathlib.Path(path).read_text())
        if tuple(text["measures"]) != MEASURES:
            raise ValueError(f"its measures are {text['measures']}")
        arrays = [np.array(text[name], np.float64) for name in ("mean", "scale", "weights")]
        if any(a.shape != (len(MEASURES),) or not np.isfinite(a).all() for a in arrays):
            raise ValueError("its numbers are not finite, or too few")
        return Calibration(*arrays, bias=float(text["bias"]))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(
            f"{path} is no calibration of this version ({e}): make one with +pipeline=calibrate_confidence"
        ) from e


def confidence(found: PoseEstimate, calibration: Calibration) -> float:
    """Probability, 0..1, that the pose is right."""
    return float(calibration.probability(measures(found.evidence, found.position_sd_m)))


def why_not(found: PoseEstimate, least: float) -> str:
    """The reason of a pose that is not believed."""
    e = found.evidence
    chance = f", where chance finds {e.by_chance:.0f}" if e.by_chance >= 0.5 else ""
    rival = "; another pose explains the photo as well" if e.rival > 0.5 * surprise(e) > 0 else ""
    again = f"{e.found} of the {e.in_view} map points that it should show were" if e.in_view else "no map points were"
    return (
        f"not sure enough of its pose (confidence {found.confidence:.2f}, at least {least:g} is needed): "
        f"{e.first_inliers} of its {e.matches} matches with the map agree, and {again} found again{chance}{rival}"
    )
