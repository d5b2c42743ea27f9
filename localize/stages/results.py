"""What a run leaves behind: poses.txt, results.json, summary.txt."""

import json
import pathlib
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

import localize
from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import threshold_name
from localize.index.bits import Coding
from localize.io.text import write_poses, write_text
from localize.stages.index import BuiltIndex
from localize.stages.mapping import LocalizationMap
from localize.stages.memory import array_bytes
from localize.stages.notes import focal_notes, truth_notes
from localize.stages.per_query import finite, rows_of_queries
from localize.stages.shelved import Shelved
from localize.stages.summary import summary
from localize.stages.union import Matched
from localize.stages.upright import upright_notes
from localize.stages.workbench import Workbench
from localize.types import Report, Scene

if TYPE_CHECKING:
    from localize.roles import Components


def write_results(
    bench: Workbench,
    use: "Components",
    scene: Scene,
    points: LocalizationMap,
    matched: Matched,
    poses: Shelved,
    output: str | None,
) -> Report:
    """Score the poses against the ground truth, where there is any, and write the files if `output` is given."""
    estimates = {name: poses[name] for name in poses.item_keys}
    found = {name: estimates[name].pose for name in scene.queries.names if name in estimates}
    found = {name: pose for name, pose in found.items() if pose is not None}
    report = evaluate_poses(found, scene)
    notes = truth_notes(found, scene)
    if output is not None:
        folder = pathlib.Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        results = _results(bench, scene, points, matched, poses, estimates, report)
        results["notes"] += notes + upright_notes(use, scene)
        write_poses(folder / "poses.txt", found)
        results["fallback_poses_in_submission"] = []
        if scene.submission:
            frames = matched.frames and matched.frames.retrieved
            submitted, results["fallback_poses_in_submission"] = use.submission.poses(
                scene, found, frames, points.references
            )
            results["submission"] = use.submission.write(folder, scene, submitted).name
        write_text(folder / "results.json", results_text(results))
        write_text(folder / "summary.txt", summary(report, results, use))
    return report


def results_text(results: dict) -> str:
    """results.json, in which a query has one line."""
    queries = ",\n".join(f"  {json.dumps(name)}: {_json(row)}" for name, row in results["queries"].items())
    rest = json.dumps(results | {"queries": {}}, indent=1, allow_nan=False)
    return rest.replace('\n "queries": {}', f'\n "queries": {{\n{queries}\n }}', 1) + "\n"


def _json(value) -> str:
    return json.dumps(value, allow_nan=False)


def _results(
    bench: Workbench, scene: Scene, points: LocalizationMap, matched: Matched, poses: Shelved, estimates, report
) -> dict:
    """What results.json holds."""
    found, index = [e for e in estimates.values() if e.pose is not None], matched.index
    compared = [matched.matches[name].candidates_per_keypoint for name in estimates]
    return {
        "localize": localize.__version__,
        "scene": scene.name,
        "unit": scene.unit,
        "num_references": len(points.references),
        "num_queries": len(scene.queries),
        "num_localized": len(found),
        "num_scored": len(report.query_names),
        "conditions": _conditions(report),
        "inliers_median": finite(np.median([e.num_inliers for e in found])) if found else None,
        "candidates_per_keypoint": _mean(compared),
        "seconds_per_query": _seconds(matched, poses),
        "map": {
            "points": len(points.rows.points),
            "observations": points.num_observations,
            "bytes": array_bytes(points.rows),
            "index_bytes": array_bytes(index.built) if index else 0,
            "bits": _bits(index),
            "poses": points.figures,
            "notes": list(points.notes),
        },
        "scene_notes": list(scene.notes),
        "notes": focal_notes(estimates.values()),
        "failed": {
            n: estimates[n].reason if n in estimates else "the photo cannot be read"
            for n in scene.queries.names
            if n not in estimates or estimates[n].pose is None
        },
        "unreadable_photos": bench.unreadable,
        "queries": rows_of_queries(scene.queries, report, matched, estimates),
        "stages": [asdict(r) for r in bench.records],
        "store": str(bench.store.root),
    }


def _seconds(matched: Matched, poses: Shelved) -> dict[str, float | None]:
    """Mean seconds of a query per step, from the run that computed it."""
    names = matched.queries.images.names
    steps = {"features": [matched.queries.features.seconds(n) for n in names]}
    if matched.frames is not None and matched.frames.seconds:
        steps["global descriptor"] = [matched.frames.seconds[n] for n in names]
    steps["search and matching"] = [matched.matches.seconds(n) for n in names]
    steps["pose"] = [poses.seconds(n) for n in names]
    return {step: _mean(values) for step, values in steps.items()}


def _bits(index: BuiltIndex | None) -> dict | None:
    """How many bits an item has, and how they were made; None where no index uses bits."""
    if index is None or not isinstance(index.built, Coding):
        return None
    return {"number": len(index.built.thresholds), "binarisation": index.built.binarisation}


def _conditions(report: Report) -> dict:
    return {
        condition: {
            "num_queries": int(report.num_queries[i]),
            "num_localized": int(report.num_localized[i]),
            "median_m": finite(report.median_m[i]),
            "median_deg": finite(report.median_deg[i]),
            "recall": {
                threshold_name(t, report.unit): float(r)
                for t, r in zip(report.thresholds[i], report.recall[i], strict=True)
            },
        }
        for i, condition in enumerate(report.conditions)
        if report.num_queries[i]
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
