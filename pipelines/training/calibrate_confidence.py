"""Fit the confidence of poses to runs whose poses are known to be right or wrong."""

import json
import pathlib

from localize.io.text import write_text
from localize.pose.refinement.confidence import MEASURES
from localize.train.calibration import fit, read_judged
from localize.types import InputError


def run(*, output: str, results: list[str], negatives: list[str] = ()) -> str:
    """Write `output`/confidence.json; says what to type next.

    results: results.json of runs with `refinement=guided pose.min_confidence=0` on queries with ground truth;
    negatives: the same of photos that do not belong to the scene, whose poses are all wrong. InputError for a file
    without evidence.
    """
    if not results:
        raise InputError("pipeline.results must name results.json files of runs on queries with ground truth")
    parts = [read_judged(path, belongs=True) for path in results]
    parts += [read_judged(path, belongs=False) for path in negatives]
    found = fit(parts)
    right = sum(int(p.right.sum()) for p in parts)
    poses = sum(len(p.right) for p in parts)
    path = pathlib.Path(output) / "confidence.json"
    arrays = {name: [round(float(v), 6) for v in getattr(found, name)] for name in ("mean", "scale", "weights")}
    made_from = {"poses": poses, "right": right}
    text = {"measures": MEASURES, **arrays, "bias": round(found.bias, 6), "made_from": made_from}
    write_text(path, json.dumps(text, indent=1) + "\n")
    return (
        f"A calibration from {poses} poses, {right} of them right, is in {path}; "
        f"use it with refinement.calibration={path}"
    )
