"""How many of the pipeline's own 2D-3D matches are correct under the true poses, per condition."""

import numpy as np

from localize.evaluate.tables import threshold_name
from localize.features.base import LocalFeature
from localize.geometry.colmap import to_pycolmap_camera
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
from localize.store import Store
from localize.types import Image, Matches2D3D, Report, Scene

TOLERANCE_PX = 3.0


def localized(scene: Scene, store: str, feature: LocalFeature, workers: int) -> list[dict]:
    """One row per condition of parallel_search with this feature; what the store has is not computed again."""
    use, bench = Components(feature=feature), Workbench(Store(store), workers, True)
    mapped, queries = map_scene(bench, use, scene), extract_features(bench, use.feature, query_photos(scene))
    index, frames = build_index(bench, use.index, mapped.points), retrieve(bench, use, queries, mapped.described)
    found = match_points(bench, use, queries, mapped.points, index=index, frames=frames)
    poses = estimate_poses(bench, use, found, mapped.points)
    report = write_results(bench, use, scene, mapped.points, found, poses, None)
    figures = {}
    for name in poses.item_keys:
        matches = found.matches[name]
        correct = correct_matches(matches, scene.ground_truth.by_name[name]).sum()
        figures[name] = len(matches), correct, poses[name].num_inliers, matches.candidates_per_keypoint
    return [_row(scene, report, i, figures) for i in range(len(report.conditions)) if report.num_queries[i]]


def correct_matches(matches: Matches2D3D, truth: Image) -> np.ndarray:
    """(M,) bool: the 3D point is in front of the true camera and within 3 px of the keypoint."""
    points = matches.xyz @ truth.pose.rotation.T + truth.pose.translation
    projected = np.full((len(points), 2), np.inf)
    front = points[:, 2] > 0
    projected[front] = to_pycolmap_camera(truth.camera).img_from_cam(points[front])
    return np.linalg.norm(projected - matches.xy, axis=1) <= TOLERANCE_PX


def _row(scene: Scene, report: Report, i: int, figures: dict) -> dict:
    """Figures of condition i: precision over all its matches, means over its queries that could be read."""
    condition = report.conditions[i]
    names = [q.name for q in scene.queries if q.name in figures and (i == 0 or condition in q.tags)]
    matches, correct, inliers, candidates = np.array([figures[n] for n in names], float).reshape(-1, 4).T
    return {
        "condition": condition,
        "queries": int(report.num_queries[i]),
        "matches": matches.mean(),
        "correct": correct.mean(),
        "precision": correct.sum() / max(1, matches.sum()),
        "inliers": inliers.mean(),
        "candidates": candidates.mean(),
        **{threshold_name(t): float(r) for t, r in zip(report.thresholds[i], report.recall[i], strict=True)},
    }
