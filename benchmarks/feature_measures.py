"""What a local feature costs and how well it matches: each measure gives a dictionary of plain numbers."""

import json
import pathlib
import tempfile

import numpy as np
from day_evening import LAST_TRAINING_FRAME, place_recall, true_and_control
from marked_pairs import Judge, read_pairs
from measured_feature import MINITOWN, MeasuredFeature, strongest
from scipy.spatial import cKDTree

from localize.evaluate.patches.bits import bit_statistics
from localize.evaluate.patches.descriptors import pair_distances
from localize.evaluate.patches.fpr95 import fpr95
from localize.features.base import DescribesGiven
from localize.geometry.homography import apply
from localize.io.benchmarks.phototour import draw_pairs
from localize.io.benchmarks.sequences import read_sequences
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
NEAR_PX, FAR_PX, PAIRS, SEED = 2.0, 20.0, 10_000, 0
ONE_ORIENTATION = {"max_orientations": 1}  # else two rows of SIFT are at one place


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


def planes(feature: MeasuredFeature) -> dict:
    """FPR95 in percent, of values and of signs as bits, at the feature's own keypoints that see one place of a plane.

    Pairs of one place: keypoints of photo 1 and another of HPatches' sequences, each the other's nearest under the
    homography and at most 2 px away; as many of two: the same first ones, with one at least 20 px off. seen: share of
    the first photos' keypoints with a partner. Of SIFT with one orientation for each keypoint.
    """
    folder, rng = "hpatches_sequences", np.random.default_rng(SEED)
    first, second, same, count = [], [], [], 0
    for sequence in read_sequences(str(feature.root(folder))):
        names = [f"{sequence.name}/{path.name}" for path in sequence.photos]
        found = [feature.extract(folder, name, **ONE_ORIENTATION) for name in names]
        for k in range(1, len(found)):
            at = apply(sequence.homographies[k], found[0].keypoints.astype(np.float64))
            i, j, other = _partners(at, found[k].keypoints.astype(np.float64), rng)
            count += len(at)
            first.append(found[0].descriptors[np.tile(i, 2)])
            second.append(found[k].descriptors[np.concatenate([j, other])])
            same.append(np.repeat([True, False], len(i)))
    first, second, same = (np.concatenate(part) for part in (first, second, same))
    return _fpr95(first, second, same) | {"seen": 100 * int(same.sum()) / count}


def _partners(at: np.ndarray, places: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows i of `at` and j of `places` (px) that see one place, and for each i a row that sees another."""
    distance, j = cKDTree(places).query(at)
    i = np.flatnonzero((distance <= NEAR_PX) & (cKDTree(at).query(places)[1][j] == np.arange(len(at))))
    other = rng.integers(len(places), size=len(i))
    far = np.linalg.norm(places[other] - at[i], axis=1) > FAR_PX
    return i[far], j[i[far]], other[far]


def tracks(feature: MeasuredFeature) -> dict:
    """FPR95 in percent, of values and of signs as bits, where a COLMAP model observes its points.

    A feature that can describe given places does that. With SIFT's keypoints, which need a scale, the nearest one
    within 2 px counts, with one orientation. Other detectors have no keypoints there, for SIFT finds blobs: no figure.
    seen: share of the places. Pairs: at most 10,000 of one point and as many of two, drawn among the places seen.
    """
    folder = "lund_door/images"
    if not isinstance(feature.of(folder), DescribesGiven):
        return {}
    model = read_colmap_model(feature.root(folder).parent / "colmap_ground_truth", [])
    point = np.repeat(np.arange(len(model.points)), np.diff(model.indptr))
    points, descriptors = [], []
    for i, name in enumerate(model.names):
        mine = np.flatnonzero(model.image == i)
        found, seen = _at_places(feature, folder, name, model.xy[mine])
        points.append(point[mine[seen]])
        descriptors.append(found[seen])
    points, descriptors = np.concatenate(points), np.concatenate(descriptors)
    num = int(min(PAIRS, (np.unique(points, return_counts=True)[1] - 1).sum()))
    first, second, same = draw_pairs(points, num, SEED)
    return _fpr95(descriptors[first], descriptors[second], same) | {"seen": 100 * len(points) / len(point)}


def _at_places(feature: MeasuredFeature, folder: str, name: str, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors (N, D) at places (N, 2) px of a photo, and which of them (N,) bool there are."""
    if feature.on_sift:
        own = feature.extract(folder, name, **ONE_ORIENTATION)
        distance, row = cKDTree(own.keypoints).query(at)
        return own.descriptors[row], distance <= NEAR_PX
    shape = np.ones(len(at), np.float32), np.zeros(len(at), np.float32)
    found = feature.of(folder).describe_at(feature.photo(folder, name), at, *shape).descriptors
    return found, found.any(1)


def _fpr95(first: np.ndarray, second: np.ndarray, same: np.ndarray) -> dict:
    """Of pairs of descriptors (P, D); nothing of bits where no value is negative, as of RootSIFT's.

    ones, flips, correlation: shares over the bits of those that see the same, as evaluate.patches.bits counts them.
    """
    distance = pair_distances(first.astype(np.float32), second.astype(np.float32), "euclidean")
    found = {"pairs": int(same.sum()), "real": fpr95(distance[same], distance[~same]), "bits": None}
    if (first < 0).any():
        bits, others = first > 0, second > 0
        distance = pair_distances(bits, others, "hamming")
        seen = bit_statistics(np.concatenate([bits[same], others[same]]), np.tile(np.arange(same.sum()), 2))
        found |= {"bits": fpr95(distance[same], distance[~same]), "ones": float(seen.ones.mean())}
        found |= {"flips": seen.flip_rate, "correlation": seen.correlation}
    return found


MEASURES = {"cost": cost, "mma": mma, "wxbs": wxbs, "uofa": uofa, "planes": planes, "tracks": tracks}
