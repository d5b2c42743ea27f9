"""What results.json keeps of each query (docs/results.md)."""

import math
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from localize.geometry.colmap import to_pycolmap_camera
from localize.geometry.poses import qvec_from_rotation
from localize.stages.union import Matched
from localize.types import Camera, Image, ImageList, Matches2D3D, Pose, PoseEstimate, Report

CELLS = 8  # of a photo, along each side
DIGITS = 9  # of a number, which no pose needs more of


def rows_of_queries(queries: ImageList, report: Report, matched: Matched, estimates: dict[str, PoseEstimate]) -> dict:
    """A row for each query by name; zeros and null in that of one whose photo could not be read."""
    errors = dict(zip(report.query_names, zip(report.error_m, report.error_deg, strict=True), strict=True))
    retrieved = _retrieved(matched)
    rows = {}
    for query in queries:
        estimate, (metres, degrees) = estimates.get(query.name), errors.get(query.name, (math.inf, math.inf))
        rows[query.name] = {
            "tags": list(query.tags),
            "retrieved": retrieved.get(query.name),
            "matches": estimate.num_matches if estimate else 0,
            "inliers": estimate.num_inliers if estimate else 0,
            **_of_inliers(query, matched, estimate),
            "confidence": estimate.confidence if estimate else None,
            "position_sd_m": estimate.position_sd_m if estimate else None,
            "orientation_sd_deg": estimate.orientation_sd_deg if estimate else None,
            "evidence": asdict(estimate.evidence) if estimate and estimate.evidence else None,
            "pose": _pose(estimate.pose) if estimate and estimate.pose else None,
            "camera": _camera(query, estimate) if estimate else None,
            "notes": list(estimate.notes) if estimate else [],
            "error_m": finite(metres),
            "error_deg": finite(degrees),
        }
    return rows


def finite(value) -> float | None:
    """JSON has no infinity: a failed query's error is null."""
    return float(value) if np.isfinite(value) else None


def _retrieved(matched: Matched) -> dict[str, list[str]]:
    """The references that each query was compared with, best first; none where the search looks at no frames."""
    if matched.frames is None:
        return {}
    found = matched.frames.retrieved
    return {
        name: [found.reference_names[i] for i in row if i >= 0]
        for name, row in zip(found.query_names, found.ranked.tolist(), strict=True)
    }


def _of_inliers(query: Image, matched: Matched, estimate: PoseEstimate | None) -> dict[str, float | None]:
    """How far the inliers are from where the pose sees their points, and over how much of the photo they are spread."""
    if estimate is None or estimate.pose is None or not estimate.num_inliers:
        return {"inlier_error_px": None, "inlier_coverage": None}
    matches, camera = matched.matches[query.name], estimate.camera or query.camera
    xy = matches.xy[estimate.inliers]
    return {
        "inlier_error_px": _rounded(np.median(_errors_px(matches, estimate, camera)), 3),
        "inlier_coverage": _rounded(coverage(xy, camera), 3),
    }


def _errors_px(matches: Matches2D3D, estimate: PoseEstimate, camera: Camera) -> np.ndarray:
    """(M,) of each inlier to the projection of its point; infinite behind the camera."""
    pose, errors = estimate.pose, np.full(estimate.num_inliers, np.inf)
    in_camera = matches.xyz[estimate.inliers] @ pose.rotation.T + pose.translation
    front = in_camera[:, 2] > 0
    projected = np.asarray(to_pycolmap_camera(camera).img_from_cam(in_camera[front])).reshape(-1, 2)
    errors[front] = np.linalg.norm(projected - matches.xy[estimate.inliers][front], axis=1)
    return errors


def coverage(xy: np.ndarray, camera: Camera) -> float:
    """Share of the photo's CELLS x CELLS cells that at least one of the pixels xy (M, 2) lies in, 0..1."""
    cells = (np.asarray(xy) / (camera.width, camera.height) * CELLS).astype(int).clip(0, CELLS - 1)
    return len(np.unique(cells, axis=0)) / CELLS**2


def _pose(pose: Pose) -> dict[str, list[float]]:
    numbers = {"qvec_wxyz": qvec_from_rotation(pose.rotation), "tvec": pose.translation, "center": pose.center}
    return {name: _short(values) for name, values in numbers.items()}


def _camera(query: Image, estimate: PoseEstimate) -> dict:
    """The intrinsics that the pose goes with."""
    camera = estimate.camera or query.camera
    params = {"params": _short(camera.params), "estimated": estimate.camera is not None}
    return {"model": camera.model, "size": [camera.width, camera.height], **params}


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
