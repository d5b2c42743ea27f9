"""The pipelines and the indexes on the same photos, map and descriptors, as one Markdown table per scene.

    python benchmarks/compare.py Herz-Jesu-P25 fountain-P11 [--feature sift] [--store outputs/store]

Each argument is a folder in the layout of Strecha et al. (images/ and gt_dense_cameras/). One worker, so that a query's
milliseconds are not shared with another's. Times are measured when a row is computed and kept in the store with it.
"""

import argparse
import json
import pathlib
import tempfile

from localize.datasets.strecha import Strecha
from localize.evaluate.tables import threshold_name
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.index.faiss_index import FaissFlat, FaissHnsw, FaissIvf
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.pipelines import direct, parallel_search, serial
from localize.search.prior import Frames, Union
from localize.store import Store

FEATURES = {"sift_crbnet": SiftCrbnet, "sift": Sift}
ROWS = [
    ("parallel_search (trees + 20 frames)", parallel_search, {}),
    ("parallel_search (trees + 3 frames)", parallel_search, {"search": Union(num_frames=3)}),
    ("direct, trees, gaussian (RT_AP)", direct, {}),
    ("direct, trees, abs_value (RT)", direct, {"index": RandomTrees(order="abs_value")}),
    ("direct, the paper's trees read literally", direct, {"index": LiteralTrees()}),
    ("serial, 20 frames (IR)", serial, {}),
    ("serial, 3 frames (IR)", serial, {"search": Frames(num_frames=3)}),
    ("direct, faiss_flat", direct, {"index": FaissFlat(items="all")}),
    ("direct, faiss_hnsw", direct, {"index": FaissHnsw(items="all")}),
    ("direct, faiss_ivf", direct, {"index": FaissIvf(items="all")}),
]


def row(scene, store: Store, pipeline, components: dict) -> list[str]:
    with tempfile.TemporaryDirectory() as output:
        pipeline.run(scene, store, progress=True, output=output, **components)
        results = json.loads((pathlib.Path(output) / "results.json").read_text())
    found = results["conditions"]["all"]
    build = [s for s in results["stages"] if s["name"] == "index"]
    built = f"{build[0]['seconds']:.1f}" if build and build[0]["computed"] else "reused" if build else "-"
    return [
        *(f"{100 * r:.1f}" for r in found["recall"].values()),
        f"{100 * found['median_m']:.2f} / {found['median_deg']:.3f}",
        f"{results['inliers_median']:.0f}",
        f"{results['candidates_per_keypoint']:.0f}",
        f"{1000 * results['seconds_per_query']['search and matching']:.0f}",
        f"{1000 * results['seconds_per_query']['pose']:.0f}",
        built,
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("roots", nargs="+")
    arguments.add_argument("--feature", choices=FEATURES, default="sift_crbnet")
    arguments.add_argument("--store", default="outputs/store")
    given = arguments.parse_args()
    feature = FEATURES[given.feature]()
    for root in given.roots:
        scene = Strecha(root).load()
        recalls = [threshold_name(t) for t in scene.thresholds]
        header = [
            "method",
            *recalls,
            "median cm / deg",
            "inliers",
            "candidates per keypoint",
            "search + matching ms",
            "pose ms",
            "index built s",
        ]
        print(f"\n{scene.name}: {len(scene.references)} references, {len(scene.queries)} queries, {given.feature}\n")
        print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header), flush=True)
        for name, pipeline, components in ROWS:
            cells = row(scene, Store(given.store), pipeline, {"feature": feature, **components})
            print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
