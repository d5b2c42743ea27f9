"""Poses that one can trust of photos whose relative poses are known: the rig's pose, refined in each photo.

A refinement with `refine_from` starts in each photo from the rig's pose; the relative poses then bind no more, so those
of odometry may drift. What it refuses in one photo but finds in another is carried over by the relative poses. With
`judge` it also speaks of all photos together, where none is enough alone.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np

from localize.components import USUAL
from localize.geometry.poses import composed, inverse
from localize.pose.base import SolvesRigs
from localize.pose.refinement.base import Refinement, SeenPoints
from localize.pose.rig import CARRIED
from localize.types import Evidence, Pose, PoseEstimate, View

_SAME = 1e-6  # m and units of rotation matrices: poses that were carried over from one
_COUNTS = ("keypoints", "matches", "first_inliers", "in_view", "found", "by_chance")


@runtime_checkable
class RefinesFrom(Protocol):
    """A refinement that can start from a given pose."""

    def refine_from(self, view: View, seen: SeenPoints, solver, first: PoseEstimate) -> PoseEstimate:
        """The pose refined and judged; without pose, and saying why, where it is refused."""
        ...


@runtime_checkable
class Judges(Protocol):
    """A refinement that can judge what it did not refine itself."""

    def judge(self, found: PoseEstimate, solver) -> PoseEstimate:
        """The estimate with the confidence of its evidence; without pose where that is too little."""
        ...


def estimate_rig(
    views: list[View], cam_from_rig: list[Pose], seen: SeenPoints, solver: SolvesRigs, refinement: Refinement
) -> list[PoseEstimate]:
    """The pose of every photo of a rig, or why it has none; the same input gives the same poses."""
    firsts = solver.solve_rig(views, cam_from_rig)
    together = _together(firsts, cam_from_rig)
    if not isinstance(refinement, RefinesFrom):
        return [_counted(firsts, together[i], i, solver) for i in range(len(views))]
    refined = [
        first if first.pose is None else refinement.refine_from(view, seen, solver, first)
        for view, first in zip(views, firsts, strict=True)
    ]
    whole = [
        _carried(firsts, refined, cam_from_rig, together[i], i) if found.pose is None else found
        for i, found in enumerate(refined)
    ]
    if isinstance(refinement, Judges):
        for members in {m for m in together if m and all(whole[i].pose is None for i in m)}:
            for i in members:
                whole[i] = _pooled(firsts, refined, members, i, refinement, solver)
    return whole


def _together(firsts: list[PoseEstimate], cam_from_rig: list[Pose]) -> list[tuple[int, ...]]:
    """For each photo those that share its rig's pose, itself among them; none where it has no pose."""
    rigs = [None if f.pose is None else composed(inverse(m), f.pose) for f, m in zip(firsts, cam_from_rig, strict=True)]

    def same(a: Pose, b: Pose) -> bool:
        far = _SAME * (1 + np.abs(a.translation).max())
        return np.abs(a.rotation - b.rotation).max() < _SAME and np.abs(a.translation - b.translation).max() < far

    return [
        tuple(j for j, b in enumerate(rigs) if a is not None and b is not None and same(a, b))
        for a in rigs
    ]  # fmt: skip


def _counted(firsts: list[PoseEstimate], members: tuple[int, ...], i: int, solver) -> PoseEstimate:
    """The rig's pose if it rests on enough inliers of all photos that share it: as many as one photo needs."""
    if not members:
        return firsts[i]
    asked = getattr(solver, "min_inliers", None)
    least, found = USUAL.min_inliers if asked is None else asked, sum(firsts[j].num_inliers for j in members)
    if found >= least:
        return firsts[i]
    reason = f"only {found} matches agree in the {len(members)} photos of its group, at least {least} are needed"
    return dataclasses.replace(firsts[i], pose=None, reason=reason)


def _carried(firsts, refined, cam_from_rig: list[Pose], members: tuple[int, ...], i: int) -> PoseEstimate:
    """The pose of a refused photo by the surest of those that share its rig; the refusal where all are refused."""
    sure = [j for j in members if refined[j].pose is not None]
    if not sure:
        return refined[i]
    j = max(sure, key=lambda k: (refined[k].confidence or 0.0, refined[k].num_inliers))
    pose = composed(composed(cam_from_rig[i], inverse(cam_from_rig[j])), refined[j].pose)
    return _given(firsts[i], refined[i], pose, refined[j].confidence)


def _pooled(firsts, refined, members: tuple[int, ...], i: int, refinement: Judges, solver) -> PoseEstimate:
    """The rig's pose if all that its photos saw is enough together; else the refusal."""
    seen = [refined[j].evidence for j in members if refined[j].evidence is not None]
    if len(seen) < 2:
        return refined[i]
    most = max(seen, key=lambda e: e.found)
    counts = {name: sum(getattr(e, name) for e in seen) for name in _COUNTS}
    evidence: Evidence = dataclasses.replace(most, **counts)
    of_all = dataclasses.replace(firsts[i], evidence=evidence, confidence=None, covariance=None)
    judged = refinement.judge(of_all, solver)
    return refined[i] if judged.pose is None else _given(firsts[i], refined[i], firsts[i].pose, judged.confidence)


def _given(first: PoseEstimate, refused: PoseEstimate, pose: Pose, confidence: float | None) -> PoseEstimate:
    """A refused photo with a pose that others vouch for; its covariance is not known."""
    notes = tuple(dict.fromkeys((*first.notes, *refused.notes, CARRIED)))
    return dataclasses.replace(refused, pose=pose, reason="", confidence=confidence, covariance=None, notes=notes)
