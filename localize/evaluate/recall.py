"""Pose errors against ground truth, and recall at thresholds per condition."""

from collections.abc import Mapping

import numpy as np

from localize.geometry.poses import pose_error
from localize.types import ImageList, Pose, Report


def evaluate_poses(estimates: Mapping[str, Pose | None], queries: ImageList, truth: ImageList, thresholds) -> Report:
    """Report over all queries that have ground truth; a failed query has infinite error and counts in every divisor.

    Conditions are "all", then each tag the queries carry. Within means strictly below both bounds.
    """
    scored = [q for q in queries if q.name in truth.by_name]
    errors = np.full((len(scored), 2), np.inf)
    for i, query in enumerate(scored):
        if estimates.get(query.name) is not None:
            errors[i] = pose_error(estimates[query.name], truth.by_name[query.name].pose)
    tags = sorted({tag for q in scored for tag in q.tags})
    masks = [np.ones(len(scored), bool)] + [np.array([tag in q.tags for q in scored], bool) for tag in tags]
    bounds = np.asarray(thresholds, np.float64)
    within = (errors[:, None, :] < bounds[None]).all(-1)  # (Q, T)
    divisors = [max(1, m.sum()) for m in masks]
    return Report(
        query_names=tuple(q.name for q in scored),
        error_m=errors[:, 0],
        error_deg=errors[:, 1],
        thresholds=tuple(map(tuple, bounds.tolist())),
        conditions=("all", *tags),
        recall=np.array([within[m].sum(0) / n for m, n in zip(masks, divisors, strict=True)]),
        median_m=np.array([np.median(errors[m, 0]) if m.any() else np.inf for m in masks]),
        median_deg=np.array([np.median(errors[m, 1]) if m.any() else np.inf for m in masks]),
        num_queries=np.array([m.sum() for m in masks]),
        num_localized=np.array([np.isfinite(errors[m, 0]).sum() for m in masks]),
    )
