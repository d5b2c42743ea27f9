"""What a local feature costs and how well it matches: each measure gives a dictionary of plain numbers."""

import json
import pathlib
import tempfile

import numpy as np
from day_evening import LAST_TRAINING_FRAME, place_recall, true_and_control
from marked_pairs import Judge, read_pairs
from measured_feature import MINITOWN, MeasuredFeature, strongest
from scipy.spatial import cKDTree

from localize.evaluate.patches.descriptors import pair_distances
from localize.evaluate.patches.fpr95 import fpr95
from localize.features.base import DescribesGiven
from localize.io.benchmarks.phototour import draw_pairs
from localize.io.models.colmap import read_colmap_model
from localize.io.records import record_to_arrays
from localize.matching.mutual import MutualNearest
from localize.pipelines.judging import evaluate_matching
from localize.store import Store

MATCHER = MutualNearest(ratio=1.0, max_distance=3.0)  # no test at all
WXBS_KEYPOINTS = 2000  # at most, of the highest scores
SIZES = {"640x480": (MINITOWN, "db/"), "1536x1024": ("strecha/Herz-Jesu-P25/images", "")}
SPEED_PHOTOS, REPEATS = 3, 2  # of each the faster run counts, for another's work slows a processor down
RATIOS = (1.0, 0.95, 0.9, 0.8)  # for places; 1 = no test
NEAR_PX, PAIRS, SEED = 2.0, 10_000, 0


def cost(feature: MeasuredFeature) -> dict:
    """By size of photo: CPU seconds (of all threads, on one if asked so), keypoints and bytes in the store."""
    return {size: _cost(feature, folder, below) for size, (folder, below) in SIZES.items()}


def _cost(feature: MeasuredFeature, folder: str, below: str) -> dict:
    names = feature.names(folder, below, SPEED_PHOTOS)
    feature.seconds(folder, names[0])  # loads and compiles
    seconds = [[feature.seconds(folder, n) for _ in range(REPEATS)] for n in names]
    found = [feature.extract(folder, name) for name in names]
    return {
        "cpu_s": None if seconds[0][0] is None else float(np.mean([min(s) for s in seconds])),
        "keypoints": float(np.mean([len(f) for f in found])),
        "bytes": float(np.mean([sum(a.nbytes for a in record_to_arrays(f)[0].values()) for f in found])),
    }


def mma(feature: MeasuredFeature) -> dict:
    """Mean matching accuracy in percent, as +pipeline=evaluate_matching measures it."""
    folder = "hpatches_sequences"
    with tempfile.TemporaryDirectory() as made:
        asked = {"output": made, "sequences": str(feature.root(folder)), "feature": feature.of(folder)}
        evaluate_matching.run(Store(f"{made}/store"), **asked)
        found = json.loads(pathlib.Path(made, "results.json").read_text())["sequences"]["all"]
    shares = {f"mma_{t}": 100 * found["mma"][t - 1] for t in (1, 3, 5)}
    return shares | {key: found[key] for key in ("features", "matches", "pairs")}


def wxbs(feature: MeasuredFeature) -> dict:
    """Mutual nearest neighbours of marked pairs: marked_pairs.Judge says which are correct.

    Precision in percent, the mean over pairs, 0 for a pair without matches; of all pairs and by group.
    """
    folder, rows = "wxbs", []
    root = feature.root(folder)
    for pair in read_pairs(root):
        names = [path.relative_to(root).as_posix() for path in pair.photos]
        first, second = (strongest(feature.extract(folder, name), WXBS_KEYPOINTS) for name in names)
        matches = MATCHER.match(first, second).rows
        places = first.keypoints[matches[:, 0]], second.keypoints[matches[:, 1]]
        correct = Judge(pair.first, pair.second).correct(*(p.astype(float) for p in places))
        rows.append((pair.group, len(matches), int(correct.sum())))
    groups = ("all", *dict.fromkeys(group for group, *_ in rows))
    share = {g: float(np.mean([100 * c / max(1, m) for of, m, c in rows if g in (of, "all")])) for g in groups}
    matches, correct = np.mean([row[1:] for row in rows], axis=0)
    return {"precision": share.pop("all"), "matches": float(matches), "correct": float(correct), "groups": share}


def uofa(feature: MeasuredFeature) -> dict:
    """Evening frames among day frames, as matching.py measures it: places in percent and inliers, by ratio."""
    folder = "uofa_day_evening"
    both = [{n.split("/")[1] for n in feature.names(folder, f"{when}/")} for when in ("day", "evening")]
    frames = [n for n in sorted(int(name[:4]) for name in both[0] & both[1]) if n > LAST_TRAINING_FRAME]
    day, evening = ({n: feature.extract(folder, f"{w}/{n:04}.jpg") for n in frames} for w in ("day", "evening"))
    ratios = tuple(sorted({*RATIOS, feature.ratio}, reverse=True))
    places = {row["ratio"]: row for row in place_recall(day, evening, ratios)}
    pairs = {row["ratio"]: row for row in true_and_control(day, evening, ratios)}
    found = {
        f"{ratio:g}": {
            "right_place": 100 * float(places[ratio]["recall_same"]),
            "within_3_m": 100 * float(places[ratio]["recall_within_3_m"]),
            "inliers": float(pairs[ratio]["inliers"]),
            "control_inliers": float(pairs[ratio]["control_inliers"]),
        }
        for ratio in ratios
    }
    queries, pairs_n = places[ratios[0]]["queries"], len(frames)
    return {"own_ratio": f"{feature.ratio:g}", "queries": queries, "pairs": pairs_n, "ratios": found}


def tracks(feature: MeasuredFeature) -> dict:
    """FPR95 in percent, of values and of signs as bits, at the places where a COLMAP model observes its points.

    nearest: the descriptor of the feature's own keypoint nearest to a place, if there is one within 2 px; of SIFT with
    one orientation for each keypoint. given: of the place itself, by a feature that describes any. seen: share of the
    places. Pairs: at most 10,000 of one point and as many of two, drawn among the places seen.
    """
    folder = "lund_door/images"
    model = read_colmap_model(feature.root(folder).parent / "colmap_ground_truth", [])
    point = np.repeat(np.arange(len(model.points)), np.diff(model.indptr))
    changed = {"max_orientations": 1}
    found: dict[str, list] = {"nearest": []}
    if isinstance(feature.of(folder), DescribesGiven) and not feature.on_sift:
        found["given"] = []
    for i, name in enumerate(model.names):
        mine = np.flatnonzero(model.image == i)
        at, own = model.xy[mine], feature.extract(folder, name, **changed)
        distance, row = cKDTree(own.keypoints).query(at, distance_upper_bound=NEAR_PX)
        seen = np.isfinite(distance)
        found["nearest"].append((point[mine[seen]], own.descriptors[row[seen]]))
        if "given" in found:
            shape = np.ones(len(at), np.float32), np.zeros(len(at), np.float32)
            given = feature.of(folder).describe_at(feature.photo(folder, name), at, *shape).descriptors
            seen = given.any(1)
            found["given"].append((point[mine[seen]], given[seen]))
    parts = {how: [np.concatenate(part) for part in zip(*rows, strict=True)] for how, rows in found.items()}
    return {how: _fpr95(*part) | {"seen": 100 * len(part[0]) / len(point)} for how, part in parts.items()}


def _fpr95(points: np.ndarray, descriptors: np.ndarray) -> dict:
    """Of descriptors (N, D) that show the points (N,); bits are None where no value is negative, as RootSIFT's."""
    num = int(min(PAIRS, (np.unique(points, return_counts=True)[1] - 1).sum()))
    first, second, same = draw_pairs(points, num, SEED)
    values = {"real": (descriptors.astype(np.float32), "euclidean"), "bits": (descriptors > 0, "hamming")}
    found: dict[str, float | None] = {}
    for kind, (value, distance) in values.items():
        distances = pair_distances(value[first], value[second], distance)
        found[kind] = fpr95(distances[same], distances[~same])
    return found | {"bits": found["bits"] if (descriptors < 0).any() else None, "pairs": num}


MEASURES = {"cost": cost, "mma": mma, "wxbs": wxbs, "uofa": uofa, "tracks": tracks}
