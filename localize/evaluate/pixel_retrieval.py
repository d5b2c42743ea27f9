"""Pixel retrieval on Revisited Oxford and Paris: mean IoU, and average precision of photos whose object was found.

An et al., "Towards Content-based Pixel Retrieval in Revisited Oxford and Paris", ICCV 2023. Their published code has
four defects, each of which is a field of `Protocol`; docs/objects.md says what they do to the figures.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw

from localize.evaluate.revisited import SETUPS, average_precision, ranks_without
from localize.io.benchmarks.revisited import GradedQuery

GRADES = ("medium", "hard")  # of SETUPS
KINDS = ("box", "segmentation")
THRESHOLDS = tuple(t / 100 for t in range(50, 100, 5))  # that an IoU must exceed


@dataclass(frozen=True)
class Protocol:
    """How it is scored: with all four defects of the published code, or with none."""

    drops_easy_misses: bool = False  # an easy photo in which nothing was found is left out of the mean of medium
    counts_skipped: bool = False  # queries that are skipped still divide the sum of average precisions
    recall_of_passed: bool = False  # recall is 1 when all that pass the threshold are found; queries with none go
    square_masks: bool = (
        False  # masks are as high and wide as the largest coordinate, which cuts the last row or column
    )


PROTOCOLS = {"official": Protocol(True, True, True, True), "fixed": Protocol()}


@dataclass(frozen=True, eq=False)
class PixelScores:
    """Shares from 0 to 1; None where there is nothing to judge."""

    mean_iou: dict[tuple[str, str], float | None]  # by grade and kind
    mean_average_precision: dict[str, float | None]  # by grade, over THRESHOLDS


def score_found(
    found: Mapping[tuple[int, int], np.ndarray],
    labels: Mapping[tuple[int, int], Sequence[np.ndarray]],
    queries: Sequence[GradedQuery],
    rankings: Sequence[np.ndarray],
    skipped: Collection[int],
    protocol: Protocol,
) -> PixelScores:
    """The scores of polygons (P, 2) px by pair of a query and a photo; a pair that is not there, or P = 0: not found.

    labels: the polygons of every easy and hard photo; rankings: of each query, places in the database, best first;
    skipped: queries that count for no average precision.
    """
    ious = [
        {i: _iou(found.get((q, i)), labels[q, i], protocol.square_masks) for i in _positives(query, "medium")}
        for q, query in enumerate(queries)
    ]
    means = {
        (grade, kind): _mean_iou(ious, queries, grade, k, protocol) for grade in GRADES for k, kind in enumerate(KINDS)
    }
    precisions = {
        grade: _mean([_precision(ious, queries, rankings, skipped, grade, t, protocol) for t in THRESHOLDS])
        for grade in GRADES
    }
    return PixelScores(means, precisions)


def polygon_ious(found: np.ndarray, truth: Sequence[np.ndarray], *, square: bool = False) -> tuple[float, float]:
    """IoU of the boxes that hold the points, and of the filled polygons; of the truth all polygons together.

    Points are cut to whole pixels, and pixels on the bounds count. square: as `Protocol.square_masks`.
    """
    found, truth = _pixels(found), [_pixels(points) for points in truth]
    together = np.concatenate(truth)
    width, height = np.maximum(found.max(0), together.max(0)) + 1
    if square:
        side = max(width, height) - 1
        width, height = min(width, side), min(height, side)
    masks = [np.array(_filled(polygons, width, height)) for polygons in ([found], truth)]
    boxes = [(points.min(0), np.minimum(points.max(0), (width - 1, height - 1))) for points in (found, together)]
    areas = [_area(*box) for box in boxes]
    both = _area(np.maximum(boxes[0][0], boxes[1][0]), np.minimum(boxes[0][1], boxes[1][1]))
    filled = [(np.logical_and(*masks).sum(), np.logical_or(*masks).sum()), (both, sum(areas) - both)]
    of_segments, of_boxes = (float(shared / union) if union else 0.0 for shared, union in filled)
    return of_boxes, of_segments


def _pixels(points: np.ndarray) -> np.ndarray:
    """(P, 2) int64; what lies beyond the first row or column is put there."""
    return np.trunc(points).astype(np.int64).clip(0)


def _filled(polygons: Sequence[np.ndarray], width: int, height: int) -> PIL.Image.Image:
    mask = PIL.Image.new("1", (int(width), int(height)))
    draw = PIL.ImageDraw.Draw(mask)
    for points in polygons:
        corners = [tuple(point) for point in points.tolist()]
        draw.polygon(corners, fill=1, outline=1) if len(corners) > 1 else draw.point(corners, fill=1)
    return mask


def _area(low: np.ndarray, high: np.ndarray) -> int:
    """Pixels from low to high, both included."""
    return int(np.maximum(high - low + 1, 0).prod())


def _iou(found: np.ndarray | None, truth: Sequence[np.ndarray], square: bool) -> tuple[float, float] | None:
    """None where nothing was found."""
    return None if found is None or not len(found) else polygon_ious(found, truth, square=square)


def _positives(query: GradedQuery, grade: str) -> np.ndarray:
    return np.concatenate([getattr(query, name) for name in SETUPS[grade][0]])


def _mean_iou(ious, queries: Sequence[GradedQuery], grade: str, kind: int, protocol: Protocol) -> float | None:
    """Over a query's positives, then over the queries that have any."""
    means = []
    for of_query, query in zip(ious, queries, strict=True):
        dropped = set(query.easy.tolist()) if protocol.drops_easy_misses else ()
        kept = [of_query[i] for i in _positives(query, grade).tolist() if of_query[i] is not None or i not in dropped]
        means.append(_mean([0.0 if pair is None else pair[kind] for pair in kept]))
    return _mean(means)


def _precision(ious, queries, rankings, skipped, grade: str, threshold: float, protocol: Protocol) -> float | None:
    """Mean average precision where a positive counts as found if the IoU of its box exceeds the threshold."""
    if not any(len(_positives(query, grade)) for query in queries):
        return None
    total, divisor = 0.0, 0
    for q, (of_query, query, ranking) in enumerate(zip(ious, queries, rankings, strict=True)):
        positives = _positives(query, grade)
        passed = np.array([i for i in positives.tolist() if of_query[i] and of_query[i][0] > threshold], np.int64)
        expected = len(passed) if protocol.recall_of_passed else len(positives)
        if q in skipped:
            divisor += protocol.counts_skipped
        elif expected:
            junk = np.concatenate([getattr(query, name) for name in SETUPS[grade][1]])
            total += average_precision(ranks_without(ranking, passed, junk), expected)
            divisor += 1
    return total / divisor if divisor else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
