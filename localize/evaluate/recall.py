"""Pose errors against ground truth, and recall at thresholds per condition."""

from collections.abc import Mapping

import numpy as np

from localize.geometry.poses import pose_error
from localize.types import ImageList, Pose, Report, Scene


def evaluate_poses(estimates: Mapping[str, Pose | None], scene: Scene) -> Report:
    """Report over all queries that have ground truth; a failed query has infinite error and counts in every divisor.

    Conditions are "all", then each tag the queries carry. Within means strictly below both bounds, as the benchmarks'
    authors say of theirs.
    """
    truth = scene.ground_truth or ImageList()
    scored = [q for q in scene.queries if q.name in truth.by_name]
    errors = np.full((len(scored), 2), np.inf)
    for i, query in enumerate(scored):
        if estimates.get(query.name) is not None:
            errors[i] = pose_error(estimates[query.name], truth.by_name[query.name].pose)
    tags = sorted({tag for q in scored for tag in q.tags})
    masks = [np.ones(len(scored), bool)] + [np.array([tag in q.tags for q in scored], bool) for tag in tags]
    thresholds = (scene.thresholds, *(scene.tag_thresholds.get(tag, scene.thresholds) for tag in tags))
    return Report(
        query_names=tuple(q.name for q in scored),
        error_m=errors[:, 0],
        error_deg=errors[:, 1],
        conditions=("all", *tags),
        thresholds=thresholds,
        recall=np.array([recall(errors[m], bounds) for m, bounds in zip(masks, thresholds, strict=True)]),
        median_m=np.array([np.median(errors[m, 0]) if m.any() else np.inf for m in masks]),
        median_deg=np.array([np.median(errors[m, 1]) if m.any() else np.inf for m in masks]),
        num_queries=np.array([m.sum() for m in masks]),
        num_localized=np.array([np.isfinite(errors[m, 0]).sum() for m in masks]),
        unit=scene.unit,
    )


def recall(errors: np.ndarray, bounds) -> np.ndarray:
    """(T,) share of the errors (Q, 2) in metres and degrees below each pair of bounds."""
    within = (errors[:, None, :] < np.asarray(bounds)[None]).all(-1)
    return within.sum(0) / max(1, len(errors))
