"""What each of the parallel search paper's choices is worth: one difference at a time, as a Markdown table.

    python benchmarks/paper_settings.py dataset=minitown [--store outputs/store] [--output outputs/paper_settings]
        [--only index ratio ...] [--sides ours paper] [--workers 2] [--timed 12]

With settings=ours each difference takes the paper's choice alone; with settings=paper each takes ours alone. What the
store has is not computed again, and a run whose figures are in the output folder is not run again. Figures are percent
within each pair of thresholds, and CPU seconds of the search of a query (of --timed of them, spread evenly, on one
thread, after one that is not counted), which hang on the processor.
"""

import argparse
import json
import pathlib
import time

import threadpoolctl
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from localize.pipelines.mapped_scene import map_scene
from localize.roles import Components
from localize.stages import (
    Workbench,
    build_index,
    estimate_poses,
    extract_features,
    match_points,
    query_photos,
    retrieve,
    write_results,
)
from localize.stages.union import match_query
from localize.store import Store

# Name: what the command line says for the paper's choice, and for ours. None: the other side has no such thing.
DIFFERENCES: dict[str, tuple[list[str] | None, list[str] | None]] = {
    "index": (["index=literal_trees"], ["index=random_trees"]),
    "items": (["index.items=all"], None),
    "noise": (["index.noise=1.0"], None),
    "frames": (["search.precision=float32", "search.by_bits=false"], ["search.precision=auto", "search.by_bits=null"]),
    "ratio": (["matching.ratio=0.8"], ["matching.ratio=0.9"]),
    "boundary": (["feature.boundary=drop"], ["feature.boundary=replicate"]),
    "precision": (["feature.precision=float32"], ["feature.precision=auto"]),
    "pair_bits": (["pair_matching.by_bits=false"], ["pair_matching.by_bits=null"]),
    "retrieval": (["retrieval=netvlad", "settings/fields@retrieval=paper_netvlad"], ["retrieval=fusion"]),
    "prosac": (["pose.prosac=false"], ["pose.prosac=true"]),
    "iterations": (
        ["pose.min_iterations=1000", "pose.max_iterations=100000"],
        ["pose.min_iterations=300", "pose.max_iterations=30000"],
    ),
    "refinement": (["refinement=none"], ["refinement=guided"]),
    "upright": (["feature.upright=true"], ["feature.upright=true"]),  # the paper's on Aachen alone
}


def variants(only: list[str], sides: list[str]) -> dict[str, list[str]]:
    """Name of each run: its overrides. The first of a side has no difference."""
    made = {}
    for side, which in (("ours", 0), ("paper", 1)):
        if side in sides:
            made[side] = [f"settings={side}"]
            found = {name: both[which] for name, both in DIFFERENCES.items() if name in only and both[which]}
            made |= {f"{side} {name}": [f"settings={side}", *overrides] for name, overrides in found.items()}
    return made


def measured(overrides: list[str], store: str, output: pathlib.Path, workers: int, timed: int) -> dict:
    """Percent by condition, and CPU seconds per query, of parallel search with these overrides."""
    with initialize_config_module("localize.conf", version_base=None):
        made = instantiate(compose("config", ["+pipeline=parallel_search", *overrides]), _convert_="all")
    scene = made["dataset"].load()
    use = Components(**{role: part for role, part in made.items() if role in Components.__dataclass_fields__})
    bench = Workbench(Store(store), workers, True)
    mapped = map_scene(bench, use, scene)
    index = build_index(bench, use.index, mapped.points)
    queries = extract_features(bench, use.feature, query_photos(scene))
    frames = retrieve(bench, use, queries, mapped.described)
    found = match_points(bench, use, queries, mapped.points, index=index, frames=frames)
    poses = estimate_poses(bench, use, found, mapped.points)
    report = write_results(bench, use, scene, mapped.points, found, poses, str(output))
    conditions = {
        name: [round(100 * share, 1) for share in shares.tolist()]
        for name, number, shares in zip(report.conditions, report.num_queries, report.recall, strict=True)
        if number
    }
    names = queries.images.names
    step = max(1, len(names) // timed)
    seconds = []
    for at in [0, *range(0, len(names), step)]:  # the first is there twice, to warm up
        features, ranked = queries.features[names[at]], frames.retrieved.ranked[at]
        with threadpoolctl.threadpool_limits(1):
            start = time.process_time()
            match_query(features, mapped.points.rows, index, ranked, use)
            seconds.append(time.process_time() - start)
    results = json.loads((output / "results.json").read_text())
    return {
        "conditions": conditions,
        "localized": results["num_localized"],
        "queries": results["num_queries"],
        "candidates": results["candidates_per_keypoint"],
        "seconds": sum(seconds[1:]) / len(seconds[1:]),
    }


def table(figures: dict[str, dict], runs: dict[str, list[str]]) -> str:
    """Markdown: a line for each run that is done."""
    conditions = next(iter(figures.values()))["conditions"]
    lines = [
        "| " + " | ".join(["settings", *conditions, "localized", "compared", "CPU s per query"]) + " |",
        "| --- |" + " --- |" * (len(conditions) + 3),
    ]
    for name, found in figures.items():
        cells = [" / ".join(f"{share:.1f}" for share in found["conditions"][c]) for c in conditions]
        cells += [f"{found['localized']} of {found['queries']}", f"{found['candidates']:.0f}"]
        said = f"`{' '.join(runs[name])}`"
        lines.append("| " + " | ".join([said, *cells, f"{found['seconds']:.2f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("dataset", nargs="+", help="settings that all runs have, such as dataset.root=FOLDER")
    arguments.add_argument("--store", default="outputs/store")
    arguments.add_argument("--output", type=pathlib.Path, default=pathlib.Path("outputs/paper_settings"))
    arguments.add_argument("--only", nargs="*", default=list(DIFFERENCES), choices=list(DIFFERENCES))
    arguments.add_argument("--sides", nargs="+", default=["ours", "paper"], choices=["ours", "paper"])
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--timed", type=int, default=12)
    given = arguments.parse_args()
    runs, figures = variants(given.only, given.sides), {}
    for name, overrides in runs.items():
        folder = given.output / name.replace(" ", "_")
        asked = [*given.dataset, *overrides]
        path = folder / "figures.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        if known.get("overrides") != asked:
            print(f"{name}: {' '.join(asked)}", flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            known = {"overrides": asked, **measured(asked, given.store, folder, given.workers, given.timed)}
            path.write_text(json.dumps(known, indent=1))
        figures[name] = known
    print("\n" + table(figures, runs))


if __name__ == "__main__":
    main()
