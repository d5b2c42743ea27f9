"""Poses from the same matches by several settings of RANSAC: recall per condition and milliseconds, as Markdown.

    python benchmarks/pnp.py minitown Herz-Jesu-P25 [--max-keypoints 2000] [--seeds 3] [--store outputs/store]

The matches are those of parallel_search with its defaults; what the store has is not computed again. Recall is the mean
over the seeds; of each pose's time the smaller of two runs counts. The settings were chosen on Minitown's training town
(its folder is a scene too).
"""

import argparse
import dataclasses
import time

import numpy as np
from scenes import scene

from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import threshold_name
from localize.features.sift_crbnet import SiftCrbnet
from localize.pipelines.mapped_scene import map_scene
from localize.pose.colmap import Colmap
from localize.pose.poselib import PoseLib
from localize.roles import Components
from localize.stages import Workbench, build_index, extract_features, match_points, query_photos, retrieve
from localize.store import Store
from localize.types import Matches2D3D, Scene

DEFAULT = PoseLib()
BEFORE = PoseLib(prosac=False, min_iterations=1000, max_iterations=100_000, confidence=1 - 1e-12)
ROWS = [  # name, order of the matches, estimator
    ("PoseLib's own defaults", "clearest", BEFORE),
    ("no PROSAC", "clearest", dataclasses.replace(DEFAULT, prosac=False)),
    ("PROSAC, nearest first", "nearest", DEFAULT),
    ("**PROSAC, clearest first**", "clearest", DEFAULT),
    ("at least 100 iterations", "clearest", dataclasses.replace(DEFAULT, min_iterations=100)),
    ("at least 1,000 iterations", "clearest", dataclasses.replace(DEFAULT, min_iterations=1000)),
    ("at most 10,000 iterations", "clearest", dataclasses.replace(DEFAULT, max_iterations=10_000)),
    ("at most 100,000 iterations", "clearest", dataclasses.replace(DEFAULT, max_iterations=100_000)),
    ("COLMAP", "clearest", Colmap()),
]


def matches_of(place: Scene, store: str, feature: SiftCrbnet) -> dict[str, Matches2D3D]:
    """Matches of every query by parallel_search."""
    use, bench = Components(feature=feature), Workbench(Store(store), progress=True)
    mapped, queries = map_scene(bench, use, place), extract_features(bench, use.feature, query_photos(place))
    index, frames = build_index(bench, use.index, mapped.points), retrieve(bench, use, queries, mapped.described)
    matches = match_points(bench, use, queries, mapped.points, index=index, frames=frames).matches
    return {name: matches[name] for name in matches.item_keys}


def nearest_first(matches: Matches2D3D) -> Matches2D3D:
    """The same matches in ascending order of distance."""
    order = np.argsort(matches.distance, kind="stable")
    columns = {f.name: getattr(matches, f.name) for f in dataclasses.fields(matches)}
    return Matches2D3D(**{n: c[order] if isinstance(c, np.ndarray) else c for n, c in columns.items()})


def row(place: Scene, matches: dict[str, Matches2D3D], estimator, seeds: int) -> list[str]:
    """Milliseconds (median, mean, 95 %), and recall at the thresholds per condition, mean over seeds."""
    milliseconds, recalls, medians = [], [], []
    for seed in range(seeds):
        seeded, found = dataclasses.replace(estimator, seed=seed), {}
        for name, of_query in matches.items():
            taken = []
            for _ in range(2):
                start = time.perf_counter()
                found[name] = seeded.estimate(of_query, place.queries.by_name[name].camera).pose
                taken.append(1000 * (time.perf_counter() - start))
            milliseconds.append(min(taken))
        report = evaluate_poses(found, place)
        recalls.append(report.recall)
        medians.append(report.median_m[0])
    times = np.median(milliseconds), np.mean(milliseconds), np.percentile(milliseconds, 95)
    return [
        *(f"{t:.1f}" for t in times),
        *(" / ".join(f"{100 * r:.1f}" for r in condition) for condition in np.mean(recalls, 0)),
        f"{100 * np.mean(medians):.2f}",
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scenes", nargs="+")
    arguments.add_argument("--max-keypoints", type=int, default=SiftCrbnet.max_keypoints)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--store", default="outputs/store")
    given = arguments.parse_args()
    for name in given.scenes:
        place = scene(name)
        matches = matches_of(place, given.store, SiftCrbnet(max_keypoints=given.max_keypoints))
        conditions = ["all", *sorted({tag for q in place.queries for tag in q.tags})]
        count = np.median([len(m) for m in matches.values()])
        within = ", ".join(map(threshold_name, place.thresholds))
        print(f"\n{place.name}: {len(matches)} queries, median {count:.0f} matches; recall in % within {within}\n")
        header = ["RANSAC", "ms median", "mean", "95 %", *conditions, "median cm"]
        print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header), flush=True)
        for label, order, estimator in ROWS:
            ordered = {n: nearest_first(m) for n, m in matches.items()} if order == "nearest" else matches
            print("| " + " | ".join([label, *row(place, ordered, estimator, given.seeds)]) + " |", flush=True)


if __name__ == "__main__":
    main()
