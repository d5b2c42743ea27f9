"""What a run leaves behind: poses.txt, results.json, summary.txt."""

import json
import math
import pathlib
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

import localize
from localize.evaluate.recall import evaluate_poses
from localize.evaluate.tables import recall_table, threshold_name
from localize.index.bits import Coding
from localize.io.text import write_poses, write_text
from localize.stages.index import BuiltIndex
from localize.stages.map_checks import told
from localize.stages.mapping import LocalizationMap
from localize.stages.memory import array_bytes
from localize.stages.notes import focal_notes, truth_notes
from localize.stages.shelved import Shelved
from localize.stages.union import Matched
from localize.stages.upright import upright_notes
from localize.stages.workbench import Workbench
from localize.types import Camera, ImageList, Report, Scene
from localize.types.scenes import NO_UNIT

if TYPE_CHECKING:
    from localize.roles import Components

SHOWN = 8  # of the failed queries in the summary


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
        write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
        write_text(folder / "summary.txt", _summary(report, results))
    return report


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
        "inliers_median": _number(np.median([e.num_inliers for e in found])) if found else None,
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
        "queries": _per_query(scene.queries, report, estimates),
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


def _per_query(queries: ImageList, report: Report, estimates: dict) -> dict:
    """What is known of every query's pose, and its errors; zeros and null for one whose photo could not be read."""
    errors = dict(zip(report.query_names, zip(report.error_m, report.error_deg, strict=True), strict=True))
    rows = {}
    for query in queries:
        estimate, (metres, degrees) = estimates.get(query.name), errors.get(query.name, (math.inf, math.inf))
        rows[query.name] = {
            "tags": list(query.tags),
            "matches": estimate.num_matches if estimate else 0,
            "inliers": estimate.num_inliers if estimate else 0,
            "confidence": estimate.confidence if estimate else None,
            "position_sd_m": estimate.position_sd_m if estimate else None,
            "orientation_sd_deg": estimate.orientation_sd_deg if estimate else None,
            "evidence": asdict(estimate.evidence) if estimate and estimate.evidence else None,
            "camera": _intrinsics(estimate.camera) if estimate and estimate.camera else None,
            "notes": list(estimate.notes) if estimate else [],
            "error_m": _number(metres),
            "error_deg": _number(degrees),
        }
    return rows


def _intrinsics(camera: Camera) -> dict:
    """The camera that was estimated with a pose."""
    return {"model": camera.model, "size": [camera.width, camera.height], "params": camera.params.tolist()}


def _conditions(report: Report) -> dict:
    return {
        condition: {
            "num_queries": int(report.num_queries[i]),
            "num_localized": int(report.num_localized[i]),
            "median_m": _number(report.median_m[i]),
            "median_deg": _number(report.median_deg[i]),
            "recall": {
                threshold_name(t, report.unit): float(r)
                for t, r in zip(report.thresholds[i], report.recall[i], strict=True)
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
        if report.unit == NO_UNIT:
            lines.append("Lengths are in units of the map: say dataset.unit=m, or what else it is, if you know.")
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
    poses = told(results["map"]["poses"])
    lines += [f"{poses[0].upper()}{poses[1:]}."] if poses else []
    lines += [f"{note[0].upper()}{note[1:]}." for note in results["scene_notes"]]
    steps = {k: v for k, v in results["seconds_per_query"].items() if v is not None}
    lines.append(
        f"Seconds per query: {sum(steps.values()):.2f} (" + ", ".join(f"{k} {v:.2f}" for k, v in steps.items()) + "); "
        f"each keypoint was compared with {results['candidates_per_keypoint'] or 0:.0f} descriptors."
    )
    if "submission" in results:
        lines.append(f"For the benchmark's server: {results['submission']}" + _fallback_remark(results))
    lines += [f"Mind: {note}." for note in results["map"]["notes"] + results["notes"]]
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
