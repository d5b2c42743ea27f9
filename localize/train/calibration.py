"""Fit the probability that a pose is right to runs whose poses are known to be right or wrong."""

import dataclasses
import json
import pathlib
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from localize.pose.refinement.confidence import MEASURES, RIGHT_DEG, RIGHT_SHARE, Calibration, measures
from localize.types import Evidence, InputError

PULL = 0.002  # of the weights towards 0, per standard deviation of a measure: a few hundred photos fit no more exactly
EVIDENCE = {f.name for f in dataclasses.fields(Evidence)}


@dataclass(frozen=True, eq=False)
class Judged:
    """Poses with what is known of them."""

    seen: np.ndarray  # (N, 6) the measures
    right: np.ndarray  # (N,) bool


def read_judged(path: str, *, belongs: bool) -> Judged:
    """The queries of a results.json that was made with pose.min_confidence=0.

    belongs: the photos show the scene, and their errors say who is right; else none is. InputError if it holds no
    evidence.
    """
    try:
        queries = json.loads(pathlib.Path(path).read_text())["queries"]
        rows = [q for q in queries.values() if q["evidence"] is not None and (not belongs or q["error_m"] is not None)]
        seen = [measures(Evidence(**q["evidence"]), q["position_sd_m"]) for q in rows]
        right = [belongs and _right(q) for q in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise InputError(
            f"{path} is no results.json with evidence ({type(e).__name__}: {e}): run with refinement=guided"
        ) from e
    return Judged(np.array(seen).reshape(-1, len(MEASURES)), np.array(right, bool))


def _right(query: dict) -> bool:
    """Whether a pose is right whatever the unit of the scene."""
    depth = query["evidence"]["depth_m"]
    return query["error_m"] < RIGHT_SHARE * depth and query["error_deg"] < RIGHT_DEG


def fit(parts: list[Judged]) -> Calibration:
    """The logistic regression of least log loss; each part, such as a scene with a feature, counts by its photos."""
    seen, right = np.concatenate([p.seen for p in parts]), np.concatenate([p.right for p in parts])
    if right.all() or not right.any():
        raise InputError(
            "a calibration needs right and wrong poses: add photos that do not belong as pipeline.negatives"
        )
    mean, spread = seen.mean(0), seen.std(0)
    scale = np.where(spread < 1e-6, 1.0, spread)  # a measure that is always the same says nothing
    x, sign = (seen - mean) / scale, np.where(right, 1.0, -1.0)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ w[:-1] + w[-1])
        slope = -sign / (1 + np.exp(margin))
        value = np.logaddexp(0, -margin).mean() + 0.5 * PULL * (w[:-1] ** 2).sum()
        return value, np.append(slope @ x / len(x) + PULL * w[:-1], slope.mean())

    w = minimize(loss, np.zeros(len(MEASURES) + 1), jac=True, method="L-BFGS-B").x
    return Calibration(mean, scale, w[:-1], float(w[-1]))
