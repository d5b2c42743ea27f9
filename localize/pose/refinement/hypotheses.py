"""First poses that deserve a second look: of all matches together, and of the matches of one place each.

Places are clusters of references that see the same points, as in hloc's covisibility clustering (Sarlin et al., CVPR
2019, section 3.2), here of the references that see matched points. A repeated facade has its matches in several.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from localize.pose.base import PoseEstimator
from localize.pose.refinement.base import SeenPoints
from localize.types import Matches2D3D, PoseEstimate, View

NEIGHBOURS = 3  # references of a cluster
MIN_VOTES = 6  # matches that a cluster must have


def first_poses(view: View, seen: SeenPoints, solver: PoseEstimator, number: int) -> Iterator[PoseEstimate]:
    """At most `number` poses, the one of all matches first; inliers are always among all matches."""
    matches = view.matches
    first = solver.solve(matches, view.camera, view.prior)
    if first.pose is not None:
        yield first
    match, image = _sightings(matches, seen)
    left = ~first.inliers
    for _ in range(number - 1):
        votes = np.bincount(image[left[match]], minlength=len(seen.references))
        if not len(votes) or votes.max() < MIN_VOTES:
            return
        of_best = match[image == votes.argmax()]
        shared = np.bincount(image[np.isin(match, of_best)], minlength=len(seen.references))
        cluster = np.argsort(-shared, kind="stable")[: min(NEIGHBOURS, np.count_nonzero(shared))]
        members = np.unique(match[np.isin(image, cluster)])
        found = solver.solve(subset(matches, members), view.camera, view.prior)
        if found.pose is not None:
            inliers = np.zeros(len(matches), bool)
            inliers[members[found.inliers]] = True
            yield dataclasses.replace(found, inliers=inliers)
        left[members] = False


def subset(matches: Matches2D3D, rows: np.ndarray) -> Matches2D3D:
    """Some of the matches."""
    names = ("xy", "xyz", "keypoint", "point", "distance", "source")
    return Matches2D3D(*(getattr(matches, name)[rows] for name in names))


def _sightings(matches: Matches2D3D, seen: SeenPoints) -> tuple[np.ndarray, np.ndarray]:
    """(match, image), both (S,): in which references the point of each match was observed."""
    first, rows = seen.by_point
    counts = np.diff(first)[matches.point]
    all_rows = [rows[first[p] : first[p + 1]] for p in matches.point]
    image = seen.image_of(np.concatenate(all_rows)) if len(all_rows) else np.zeros(0, np.int64)
    return np.repeat(np.arange(len(matches)), counts), image
