"""Day and evening frames of the University of Alberta walk: inliers of true and false pairs, recall of places."""

import pathlib

import numpy as np
import poselib
from contenders import FIXED, RATIOS, contenders, matched

from localize.features.base import LocalFeature
from localize.io.images import read_photo
from localize.types import Features

LAST_TRAINING_FRAME = 150  # of the walk; frames are 1 m apart
CONTROL_M, AROUND_M, NEIGHBOUR_M = 30, 15, 3
EVERY = 3  # of the evening frames are looked for
RANSAC = {"max_epipolar_error": 3.0, "max_iterations": 1000, "min_iterations": 1000, "seed": 0}
LEAST_MATCHES = 8  # any 7 fit a fundamental matrix

UOFA = (
    "inliers: matches within 3 px of the fundamental matrix of RANSAC, mean over pairs of a day and an evening frame "
    "of the same place; control: of the day frame and the evening frame 30 m away; above control: share of the pairs "
    "with more inliers than their control"
)
PLACES = (
    "recall@1: share of evening frames with strictly the most inliers with the day frame of the same place (or one at "
    "most 3 m away), among the day frames within 15 m"
)


def uofa(root: pathlib.Path, crbnet: LocalFeature | None) -> dict:
    """Inliers of true pairs and of control pairs, and recall of places by their number; validation frames only."""
    names = {p.name for p in (root / "day").iterdir()} & {p.name for p in (root / "evening").iterdir()}
    frames = [n for n in sorted(int(name[:4]) for name in names) if n > LAST_TRAINING_FRAME]
    photos = {
        (when, n): contenders(read_photo(root / when / f"{n:04}.jpg", grey=True), crbnet)
        for when in ("day", "evening")
        for n in frames
    }
    pairs, places = [], []
    for name in photos["day", frames[0]]:
        day, evening = ({n: photos[when, n][name] for n in frames} for when in ("day", "evening"))
        pairs += [{"descriptor": name} | row for row in true_and_control(day, evening)]
        places += [{"descriptor": name} | row for row in place_recall(day, evening)]
    return {"told": UOFA, "frames": frames, "pairs": pairs, "told of places": PLACES, "places": places}


def true_and_control(day: dict[int, Features], evening: dict[int, Features], ratios=RATIOS) -> list[dict]:
    away = {n: n + CONTROL_M if n + CONTROL_M in evening else n - CONTROL_M for n in day}
    true = [inliers(day[n], evening[n], ratios) for n in day]
    control = [inliers(day[n], evening[away[n]], ratios) for n in day]
    rows = []
    for ratio in ratios:
        t, c = (np.array([pair[ratio] for pair in pairs]) for pairs in (true, control))
        row = {"ratio": ratio, "matches": t[:, 0].mean(), "inliers": t[:, 1].mean()}
        row |= {"control_matches": c[:, 0].mean(), "control_inliers": c[:, 1].mean()}
        row |= {"difference": row["inliers"] - row["control_inliers"], "above_control": np.mean(t[:, 1] > c[:, 1])}
        rows.append(row)
    return rows


def place_recall(day: dict[int, Features], evening: dict[int, Features], ratios=FIXED) -> list[dict]:
    right = {ratio: [] for ratio in ratios}
    for n in list(evening)[::EVERY]:
        near = [m for m in day if abs(m - n) <= AROUND_M]
        pairs = [inliers(day[m], evening[n], ratios) for m in near]
        for ratio in ratios:
            found = np.array([pair[ratio][1] for pair in pairs])
            best = near[found.argmax()] if np.sum(found == found.max()) == 1 else np.inf
            right[ratio].append([best == n, abs(best - n) <= NEIGHBOUR_M])
    return [
        {"ratio": ratio, "queries": len(found)}
        | dict(zip(("recall_same", "recall_within_3_m"), np.mean(found, axis=0), strict=True))
        for ratio, found in right.items()
    ]


def inliers(first: Features, second: Features, ratios: tuple[float, ...]) -> dict[float, tuple[int, int]]:
    """By ratio the numbers of matches and of those that agree with one epipolar geometry."""
    found = matched(first, second)
    return {ratio: (len(found[ratio][0]), _num_inliers(*found[ratio])) for ratio in ratios}


def _num_inliers(p: np.ndarray, q: np.ndarray) -> int:
    return int(np.sum(poselib.estimate_fundamental(p, q, RANSAC, {})[1]["inliers"])) if len(p) >= LEAST_MATCHES else 0
