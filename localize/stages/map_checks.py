"""What of the references contradicts their photos: poses and focal lengths, and what stands still in the pictures."""

import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from localize.keys import key_of
from localize.mapping.focal_check import FocalDoubts, doubtful_focals
from localize.mapping.observed import Reprojection, reprojection, track_matches
from localize.mapping.pose_check import WARN, PoseVerdict, judge_poses
from localize.mapping.still import still_points, without
from localize.stages.photos import Photos
from localize.stages.workbench import Workbench
from localize.types import InputError, Map, PairMatches

log = logging.getLogger(__name__)

FEW_POINTS = 50  # a smaller map is named


def told(figures: dict) -> str:
    """How well the references' poses fit their photos, in one line; nothing where there is nothing to tell."""
    share, fitting = figures.get("matches_that_agree"), figures.get("of_those_that_fit_some_pose")
    error_px, parts = figures.get("median_reprojection_px"), []
    if share is not None:  # few of all agree where most are wrong matches, which says nothing against the poses
        agree, among = (share, "") if fitting is None else (fitting, " that fit any pose")
        verdict = "fit" if agree >= WARN else "do not fit"
        parts.append(
            f"the references' poses {verdict} their photos ({agree:.0%} of the matches{among} agree with them)"
        )
        few = [f"{name} {of_it:.0%}" for name, of_it in figures["of_the_worst_references"].items()]
        parts += [f"fewest of {', '.join(few)}"] if fitting is None and few else []
    if error_px is not None:
        parts.append(f"map points lie {error_px:.2f} px from where the photos show them (median)")
    return "; ".join(parts)


@dataclass(frozen=True, eq=False)
class CheckedReferences:
    """What the matches between the references of a map say of these."""

    poses: PoseVerdict
    notes: tuple[str, ...]  # one sentence each


@dataclass(frozen=True, eq=False)
class Check:
    """Where matches between references that were made without their poses are judged."""

    bench: Workbench
    references: Photos
    trust_poses: bool  # a map of poses that are no use is made all the same

    @functools.cached_property
    def keypoints_of(self) -> Callable:
        """An image's keypoints (N, 2) px, by name, each read once."""
        return functools.cache(lambda name: self.references.features[name].keypoints)

    def matches(self, pairs: Iterable, matches_of: Callable, spec: dict, min_angle_deg: float) -> CheckedReferences:
        """What these pairs' matches say; spec: what decides them, for the keys."""
        of = self.references.images, list(pairs), self.keypoints_of, matches_of
        doubts, _ = self.bench.artifact(
            "focal_check", {"focal_check": FocalDoubts.VERSION, **spec}, lambda: FocalDoubts(doubtful_focals(*of))
        )
        key = {"pose_check": PoseVerdict.VERSION, "min_angle_deg": min_angle_deg, **spec}
        single = not doubts.sentences
        verdict, _ = self.bench.artifact("pose_check", key, lambda: judge_poses(*of, min_angle_deg, single))
        return self._said(verdict, doubts.sentences)

    def model(self, points: Map, key: str) -> CheckedReferences:
        """What the tracks of a supplied model say."""

        def judge() -> PoseVerdict:
            tracks: dict[tuple[str, str], PairMatches] = track_matches(points)
            return judge_poses(points.images, tracks, self.keypoints_of, tracks.__getitem__)

        verdict, _ = self.bench.artifact("pose_check", {"pose_check": PoseVerdict.VERSION, "map": key}, judge)
        return self._said(verdict, ())

    def _said(self, verdict: PoseVerdict, focals: tuple[str, ...]) -> CheckedReferences:
        """On the log too; InputError where a map is no use."""
        if verdict.refusal and not self.trust_poses:
            raise InputError(f"{verdict.refusal}. To map them as they are: mapping.trust_poses=true", *focals)
        notes = (*focals, *filter(None, [verdict.refusal]), *verdict.warnings)
        for sentence in notes:
            log.warning("%s", sentence)
        return CheckedReferences(verdict, notes)

    def points(self, points: Map, key: str, verdict: PoseVerdict) -> tuple[Map, str, list[str]]:
        """The map without points that stand still in the pictures, its key, and sentences; InputError if none is left.

        Where no more matches stand still than chance gives, the map stays as it is.
        """
        notes, still = [], np.zeros(0, bool)
        if verdict.still:
            still = still_points(points, {name: self.keypoints_of(name) for name in points.images.names})
        if still.any():
            points, key = without(points, still), key_of([key, "without still points"])
            notes.append(
                f"{still.sum()} of the map's {len(still)} points stand still in the pictures while the cameras turn, "
                "as a car's hood or a watermark does, and were dropped: mask in dataset.masks what they show"
            )
        if len(points.points) < FEW_POINTS:
            share = "none" if verdict.share is None else f"{verdict.share:.0%}"
            notes.append(
                f"the map has only {len(points.points)} points from {len(points.images)} references: of the "
                f"{verdict.compared.sum() // 2} matches between them that were looked at {share} agree with their poses"
            )
        if not len(points.points):
            raise InputError(*notes)
        for sentence in notes:
            log.warning("%s", sentence)
        return points, key, notes

    def figures(self, points: Map, key: str, verdict: PoseVerdict) -> dict:
        """What results.json holds of how well the references' poses fit their photos; on the log too."""
        spec = {"reprojection": Reprojection.VERSION, "map": key}
        made, _ = self.bench.artifact("reprojection", spec, lambda: reprojection(points, self.keypoints_of))
        found = {
            "matches_that_agree": verdict.share,
            "of_those_that_fit_some_pose": verdict.fitting,
            "of_the_worst_references": verdict.worst,
            "median_reprojection_px": made.median_px,
        }
        log.info("%s", told(found))
        return found
