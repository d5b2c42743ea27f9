"""What a run leaves behind: poses.txt, results.json, summary.txt."""

import json
import math
import pathlib
from dataclasses import asdict, dataclass

import numpy as np

import localize
from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import recall_table, threshold_name
from localize.index.bits import Coding
from localize.io.submission import SubmissionFile
from localize.io.text import write_poses, write_text
from localize.stages.mapping import BuiltIndex, LocalizationMap
from localize.stages.workbench import Workbench, array_bytes
from localize.store import ShelfItems
from localize.types import Report, Retrieval, Scene

SHOWN = 8  # of the failed queries in the summary


@dataclass(frozen=True, eq=False)
class Localized:
    """What the stages found for the queries, and with what."""

    index: BuiltIndex | None
    frames: Retrieval | None
    matches: ShelfItems
    poses: ShelfItems
    seconds: dict[str, list[float]]  # of each query per step, from the run that computed it


def write_results(
    bench: Workbench,
    scene: Scene,
    town: LocalizationMap,
    localized: Localized,
    submission: SubmissionFile,
    output: str | None,
) -> Report:
    """Score the poses against the ground truth, where there is any, and write the files if `output` is given."""
    matches, poses, index = localized.matches, localized.poses, localized.index
    estimates = {name: poses[name] for name in poses.items}
    found = {name: e.pose for name, e in estimates.items() if e.pose is not None}
    report = evaluate_poses(found, scene)
    if output is not None:
        folder = pathlib.Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        submitted, fallen_back = {}, []
        if scene.submission:
            submitted, fallen_back = submission.poses(scene, found, localized.frames, town.references)
        found_in_order = {n: found[n] for n in scene.queries.names if n in found}
        results = {
            "localize": localize.__version__,
            "scene": scene.name,
            "num_references": len(town.references),
            "num_queries": len(scene.queries),
            "num_localized": len(found),
            "num_scored": len(report.query_names),
            "conditions": _conditions(report),
            "inliers_median": _number(np.median([estimates[n].num_inliers for n in found])) if found else None,
            "candidates_per_keypoint": _mean([matches[n].candidates_per_keypoint for n in matches.items]),
            "seconds_per_query": {step: _mean(values) for step, values in localized.seconds.items()},
            "map": {
                "points": len(town.rows.points),
                "observations": town.num_observations,
                "bytes": array_bytes(town.rows),
                "index_bytes": array_bytes(index.built) if index else 0,
                "bits": _bits(index),
            },
            "failed": {
                n: estimates[n].reason if n in estimates else "the photo cannot be read"
                for n in scene.queries.names
                if n not in found
            },
            "fallback_poses_in_submission": fallen_back,
            "unreadable_photos": bench.unreadable,
            "queries": _per_query(scene.queries.names, report, estimates),
            "stages": [asdict(r) for r in bench.records],
            "store": str(bench.store.root),
        }
        write_poses(folder / "poses.txt", found_in_order)
        if scene.submission:
            results["submission"] = submission.write(folder, scene, submitted).name
        write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
        write_text(folder / "summary.txt", _summary(report, results))
    return report


def _bits(index: BuiltIndex | None) -> dict | None:
    """How many bits an item has, and how they were made; None where no index uses bits."""
    if index is None or not isinstance(index.built, Coding):
        return None
    return {"number": len(index.built.thresholds), "binarisation": index.built.binarisation}


def _per_query(names, report: Report, estimates: dict) -> dict:
    """Matches, inliers and errors of every query; zeros and null for one whose photo could not be read."""
    errors = dict(zip(report.query_names, zip(report.error_m, report.error_deg, strict=True), strict=True))
    rows = {}
    for name in names:
        estimate, (metres, degrees) = estimates.get(name), errors.get(name, (math.inf, math.inf))
        rows[name] = {
            "matches": estimate.num_matches if estimate else 0,
            "inliers": estimate.num_inliers if estimate else 0,
            "error_m": _number(metres),
            "error_deg": _number(degrees),
        }
    return rows


def _conditions(report: Report) -> dict:
    return {
        condition: {
            "num_queries": int(report.num_queries[i]),
            "num_localized": int(report.num_localized[i]),
            "median_m": _number(report.median_m[i]),
            "median_deg": _number(report.median_deg[i]),
            "recall": {
                threshold_name(t): float(r) for t, r in zip(report.thresholds[i], report.recall[i], strict=True)
            },
        }
        for i, condition in enumerate(report.conditions)
        if report.num_queries[i]
    }


def _summary(report: Report, results: dict) -> str:
    """The table, and beneath it what a person asks next."""
    lines = []
    if len(report.query_names):
        lines.append(recall_table(report))
        if results["num_scored"] < results["num_queries"]:
            without = results["num_queries"] - results["num_scored"]
            lines.append(
                f"{without} of the {results['num_queries']} queries have no ground truth and are not in the table."
            )
    else:
        lines.append("No ground truth was given, so nothing is scored; inliers tell how sure a pose is.")
    inliers = results["inliers_median"]
    lines.append(
        f"\n{results['num_localized']} of {results['num_queries']} queries localized"
        + (f" (median {inliers:.0f} inliers)" if inliers is not None else "")
        + f" in a map of {results['map']['points']} points from {results['num_references']} photos."
    )
    steps = {k: v for k, v in results["seconds_per_query"].items() if v is not None}
    lines.append(
        f"Seconds per query: {sum(steps.values()):.2f} (" + ", ".join(f"{k} {v:.2f}" for k, v in steps.items()) + "); "
        f"each keypoint was compared with {results['candidates_per_keypoint'] or 0:.0f} descriptors."
    )
    if "submission" in results:
        lines.append(f"For the benchmark's server: {results['submission']}" + _fallback_remark(results))
    failed = results["failed"]
    lines += [f"Failed: {name}: {reason}" for name, reason in list(failed.items())[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"and {len(failed) - SHOWN} more, named in results.json under failed")
    return "\n".join(lines) + "\n"


def _fallback_remark(results: dict) -> str:
    count = len(results["fallback_poses_in_submission"])
    return f" ({count} failed queries in it have the pose of their most similar reference)" if count else ""


def _number(value) -> float | None:
    """JSON has no infinity: a failed query's error is null."""
    return float(value) if np.isfinite(value) else None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
