"""How well RootSIFT and CRBNet match hard photo pairs, on the same SIFT keypoints. Prints tables.

    python benchmarks/matching.py wxbs --root ../shared/data/wxbs [--crbnet WEIGHTS] [--output wxbs.json]
    python benchmarks/matching.py uofa --root ../shared/data/uofa_day_evening [--crbnet WEIGHTS]
    python benchmarks/matching.py minitown [--crbnet WEIGHTS] [--store outputs/store] [--workers 2]

Minitown (or synthetic, the small scene) goes through parallel_search; what the store has is not computed again.

WEIGHTS: the name of shipped weights or a .safetensors file; without them only RootSIFT is measured. CRBNet drops
keypoints whose patch leaves the photo, so RootSIFT is measured with all its keypoints and with only those CRBNet has.
Matches are mutual nearest neighbours, without and with the ratio test. Every ratio is shown for every descriptor: the
ratio of a claim must not be chosen by these tables; the one fixed beforehand is 0.8. Bits are matched by the root of
the Hamming distance, which is their Euclidean distance, so a ratio of 0.8 is one of 0.64 between Hamming distances.
"""

import argparse
import json
import pathlib

import numpy as np
from contenders import FIXED, contenders, matched
from day_evening import uofa
from marked_pairs import Judge, MarkedPair, read_pairs
from on_map import localized

from localize.datasets.minitown import Minitown
from localize.datasets.synthetic import Synthetic
from localize.evaluate.tables import text_table
from localize.features.base import LocalFeature
from localize.features.sift import Sift
from localize.io.images import read_photo

SHUFFLES = 5
COUNTS = ("matches", "correct", "inliers", "difference", "candidates")  # means of counts; other numbers are shares

WXBS = (
    "correct: Sampson distance to the fundamental matrix of all marks <= 3 px (or the transfers of a homography, where "
    "one brings 90 % of the marks within 3 px), and near the spline through the marks (see marked_pairs.Judge); "
    "precision: mean over pairs, 0 for a pair without matches; pooled: all correct / all matches; by chance: pooled "
    "precision of the same matches with their second keypoints shuffled; groups: mean precision of theirs"
)
TOWN = (
    "correct: the 3D point is within 3 px of the keypoint under the true pose; precision: all queries' correct / all "
    "matches; the rest are means over queries"
)


def wxbs(root: pathlib.Path, crbnet: LocalFeature | None) -> dict:
    """Figures of every pair, descriptor and ratio, and their means."""
    pairs = read_pairs(root)
    rows = [row for pair in pairs for row in judged_pair(pair, crbnet)]
    keys = list(dict.fromkeys((r["descriptor"], r["ratio"]) for r in rows))
    means = [_means([r for r in rows if (r["descriptor"], r["ratio"]) == key]) for key in keys]
    return {"told": WXBS, "pairs": rows, "means": means}


def judged_pair(pair: MarkedPair, crbnet: LocalFeature | None) -> list[dict]:
    judge = Judge(pair.first, pair.second)
    first, second = (contenders(read_photo(p, grey=True), crbnet) for p in pair.photos)
    rows = []
    for name in first:
        for ratio, (p, q) in matched(first[name], second[name]).items():
            rng = np.random.default_rng(0)
            chance = np.mean([judge.correct(p, rng.permutation(q)).sum() for _ in range(SHUFFLES)])
            row = {"pair": pair.name, "group": pair.group, "geometry": "flat" if judge.flat else "epipolar"}
            row |= {"warp_px": judge.warp_px, "descriptor": name, "ratio": ratio, "matches": len(p)}
            rows.append(row | {"correct": int(judge.correct(p, q).sum()), "by_chance": float(chance)})
    return rows


def _means(rows: list[dict]) -> dict:
    precision = {(r["group"], r["pair"]): r["correct"] / max(1, r["matches"]) for r in rows}
    groups = dict.fromkeys(group for group, _ in precision)
    total = max(1, sum(r["matches"] for r in rows))
    return {
        "descriptor": rows[0]["descriptor"],
        "ratio": rows[0]["ratio"],
        "matches": float(np.mean([r["matches"] for r in rows])),
        "correct": float(np.mean([r["correct"] for r in rows])),
        "precision": float(np.mean(list(precision.values()))),
        "pooled": sum(r["correct"] for r in rows) / total,
        "by_chance": sum(r["by_chance"] for r in rows) / total,
        **{g: float(np.mean([v for (group, _), v in precision.items() if group == g])) for g in groups},
    }


def pair_table(rows: list[dict]) -> str:
    """Correct / matches of every pair, without the ratio test and at 0.8."""
    rows = [r for r in rows if r["ratio"] in FIXED]
    columns = list(dict.fromkeys((r["descriptor"], r["ratio"]) for r in rows))
    header = ["correct / matches", "geometry", "warp px", *(f"{d}, {_ratio(r)}" for d, r in columns)]
    lines = {(r["group"], r["pair"]): [r["geometry"], f"{r['warp_px']:.0f}"] for r in rows}
    for r in rows:
        lines[r["group"], r["pair"]].append(f"{r['correct']} / {r['matches']}")
    return text_table(header, [[" ".join(pair), *cells] for pair, cells in lines.items()])


def table(rows: list[dict]) -> str:
    """Rows of numbers, shares with three digits."""
    header = list(rows[0])
    return text_table([h.replace("_", " ") for h in header], [[_cell(h, r[h]) for h in header] for r in rows])


def _cell(name: str, value) -> str:
    if name == "ratio":
        return _ratio(value)
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.1f}" if name.split("_")[-1] in COUNTS else f"{value:.3f}"


def _ratio(ratio: float) -> str:
    return "none" if ratio == 1 else f"{ratio:g}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["wxbs", "uofa", "minitown", "synthetic"])
    arguments.add_argument("--root", type=pathlib.Path)
    arguments.add_argument("--crbnet")
    arguments.add_argument("--output", type=pathlib.Path)
    arguments.add_argument("--store", default="outputs/store")
    arguments.add_argument("--workers", type=int, default=1)
    given = arguments.parse_args()
    if given.what in ("wxbs", "uofa") and not (given.root and given.root.is_dir()):
        arguments.error(f"--root must be the folder of {given.what}'s photos")
    crbnet = None
    if given.crbnet:
        from localize.features.sift_crbnet import SiftCrbnet

        crbnet = SiftCrbnet(weights=given.crbnet)
    if given.what == "wxbs":
        found = wxbs(given.root, crbnet)
        tables = [pair_table(found["pairs"]), table(found["means"]), found["told"]]
    elif given.what == "uofa":
        found = uofa(given.root, crbnet)
        tables = [table(found["pairs"]), found["told"], table(found["places"]), found["told of places"]]
    else:
        root = given.root and str(given.root)
        scene = (Minitown(root) if given.what == "minitown" else Synthetic(root or "outputs/synthetic")).load()
        features = {"RootSIFT": Sift()} | ({"CRBNet": crbnet} if crbnet else {})
        rows = []
        for name, feature in features.items():
            rows += [{"descriptor": name} | row for row in localized(scene, given.store, feature, given.workers)]
        found = {"told": TOWN, "conditions": rows}
        tables = [table(rows), TOWN]
    print("\n\n".join(tables))
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
