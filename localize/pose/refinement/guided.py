"""A second, guided round: with a first pose, the map says where in the photo each of its points must be.

Around each projected point the most similar keypoint is taken, without a ratio test, and the pose is fitted to these
matches; some rounds with ever smaller windows. A right pose gains matches by this, a wrong one hardly any, so the
round is also the test of the first: several first poses are tried, and the best verified one is kept.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import USUAL, check_component, problems_of
from localize.pose.base import MIN_MATCHES, PoseEstimator, too_few
from localize.pose.focal import better_focal
from localize.pose.priors import believed, notes_on_failure
from localize.pose.refinement.aim import Candidates, Look, Photo
from localize.pose.refinement.base import SeenPoints
from localize.pose.refinement.confidence import calibration_path, confidence, read_calibration, surprise, why_not
from localize.pose.refinement.hypotheses import first_poses
from localize.types import Camera, Evidence, InputError, PoseEstimate, View

WRONG_PLACES = 3.0 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])  # in radii, so that no window reaches the right one

FOCAL_ERROR_PX = 12.0  # of a photo of 1600 px: a wrong focal length makes right matches miss by so much
BEYOND_DOUBT = 300.0  # nats: no other pose is tried after one that so much speaks for


@dataclass(frozen=True)
class Guided:
    """See above. Lengths are px of a photo whose longer side is 1600 px; other photos get the same share."""

    rounds: int = 3
    radius_px: float = 30.0  # of the first round's windows
    last_radius_px: float = 8.0  # of the last round's
    rarity: float = 0.005  # share of random pairs of descriptors that are as similar as a match must be
    scale_px: float = 1.5  # of the last fit: errors beyond it count less and less
    hypotheses: int = 4  # first poses that are tried
    max_rows: int = 10_000  # observations of map points that a photo is compared with
    max_angle_deg: float = 60.0  # between the directions from which an observation and the query see a point
    keypoint_px: float | None = None  # what keypoints are exact to, px; None: what suits the feature, or 0
    calibration: str | None = None  # of the confidence: a file of +pipeline=calibrate_confidence; None: what ships

    VERSION: ClassVar[int] = 1
    SUITED: ClassVar[dict] = {"keypoint_px": "keypoint_px", "calibration": "calibration"}

    def __post_init__(self):
        lengths = ("radius_px", "last_radius_px", "scale_px", "max_angle_deg")
        positive = ("rounds", "hypotheses", "max_rows", *lengths)
        check_component(self, positive=positive, shares=("rarity",))
        if self.last_radius_px > self.radius_px:
            raise InputError(
                f"Guided.last_radius_px is {self.last_radius_px}, over radius_px {self.radius_px}: windows get smaller"
            )

    def files(self) -> list[str]:
        """The calibration of the confidence."""
        return [calibration_path(self.calibration)]

    def preflight(self) -> list[str]:
        """What is missing."""
        return problems_of(lambda: read_calibration(self.calibration))

    def estimate(self, view: View, seen: SeenPoints, solver: PoseEstimator) -> PoseEstimate:
        """See `Refinement.estimate`."""
        photo = Photo(view.features, view.camera)
        tried = []
        for first in first_poses(view, seen, solver, self.hypotheses):
            tried.append(self._verified(view, photo, seen, first))
            if surprise(tried[-1].pose.evidence) > BEYOND_DOUBT:
                break
        if not tried:
            return solver.solve(view.matches, view.camera, view.prior)
        best = max(tried, key=lambda t: surprise(t.pose.evidence))
        rivals = [surprise(t.pose.evidence) for t in tried if not _same(t.pose, best.pose)]
        evidence = dataclasses.replace(best.pose.evidence, rival=max(rivals, default=0.0))
        best = dataclasses.replace(best, pose=dataclasses.replace(best.pose, evidence=evidence))
        judged = self.judge(best.with_doubts(view), solver)
        # what a pose that is not believed contradicts means nothing
        return judged if judged.pose else dataclasses.replace(judged, notes=notes_on_failure(view.prior))

    def refine_from(self, view: View, seen: SeenPoints, solver: PoseEstimator, first: PoseEstimate) -> PoseEstimate:
        """The same from one first pose, such as a rig's."""
        if first.pose is None:
            return first
        found = self._verified(view, Photo(view.features, view.camera), seen, first)
        return self.judge(found.with_doubts(view), solver)

    def _verified(self, view: View, photo: Photo, seen: SeenPoints, first: PoseEstimate) -> "Verified":
        """The refined pose with its evidence; the first one where nothing is found around it."""
        if first.camera is not None:  # estimated with the pose
            photo = Photo(view.features, first.camera)
        prior, _ = believed(view.prior, first.pose)  # of what it contradicts, the first pose has notes
        candidates = Candidates.around(seen, view.matches.point[first.inliers], self.max_rows)
        evidence = Evidence(len(view.features), len(view.matches), first.num_inliers)
        look = Look(photo, candidates, seen.rare_similarity(self.rarity), self.max_angle_deg)
        pose, (*radii, smallest) = first.pose, self._radii(view.camera)
        for radius in radii:
            hit, keypoint = look.from_pose(pose, radius)
            if len(hit) < MIN_MATCHES:
                return Verified(dataclasses.replace(first, evidence=evidence))
            pose = look.fit(hit, keypoint, pose, radius / 3, prior).pose
        hit, keypoint = look.from_pose(pose, smallest)
        if len(hit) < MIN_MATCHES:
            return Verified(dataclasses.replace(first, evidence=evidence))
        scale = max(self.scale_px * view.camera.px_of_1600, self.keypoint_px or 0.0)
        fit = look.fit(hit, keypoint, pose, scale, prior)
        evidence = dataclasses.replace(
            evidence,
            in_view=look.in_view,
            found=len(hit),
            by_chance=float(np.mean([look.at_wrong_places(by * smallest, smallest) for by in WRONG_PLACES])),
            spread=photo.spread(keypoint),
            depth_m=float(np.median(np.linalg.norm(candidates.xyz[hit] - fit.pose.center, axis=1))),
        )
        found = dataclasses.replace(first, pose=fit.pose, covariance=fit.covariance, evidence=evidence)
        return Verified(found, (view.features.keypoints[keypoint], candidates.xyz[hit]))

    def _radii(self, camera: Camera) -> np.ndarray:
        """Radii of the windows in px: one per round, and once more the last for what is kept."""
        px, coarse_px = camera.px_of_1600, self.keypoint_px or 0.0
        widest, smallest = max(self.radius_px * px, 6 * coarse_px), max(self.last_radius_px * px, 3 * coarse_px)
        return np.geomspace(widest, smallest, self.rounds + 1)

    def judge(self, found: PoseEstimate, solver: PoseEstimator) -> PoseEstimate:
        """With its confidence; without its pose if that is less than the solver asks for.

        Where more inliers than usual are asked for, the first round must have them too: by a user, or by a feature for
        whose matches the confidence was not calibrated.
        """
        sure = confidence(found, read_calibration(self.calibration))
        found = dataclasses.replace(found, confidence=sure)
        least, count = solver.min_inliers or 0, found.evidence.first_inliers
        if sure < solver.min_confidence:
            return dataclasses.replace(found, pose=None, reason=why_not(found, solver.min_confidence))
        if solver.min_confidence > 0 and USUAL.min_inliers < least and count < least:
            reason = too_few(count, found.evidence.matches, least)
            return dataclasses.replace(found, pose=None, reason=reason)
        return found


@dataclass(frozen=True, eq=False)
class Verified:
    """A refined pose, and the matches that it was fitted to; None where nothing was found."""

    pose: PoseEstimate
    matches: tuple[np.ndarray, np.ndarray] | None = None  # (M, 2) px and (M, 3) m

    def with_doubts(self, view: View) -> PoseEstimate:
        """The pose, with a note if its matches fit another focal length than the one that was given."""
        if self.pose.camera is not None or self.matches is None:
            return self.pose
        error_px = FOCAL_ERROR_PX * view.camera.px_of_1600
        note = better_focal(*self.matches, view.camera, self.pose.pose, error_px)
        return self.pose if note is None else dataclasses.replace(self.pose, notes=(*self.pose.notes, note))


def _same(a: PoseEstimate, b: PoseEstimate) -> bool:
    """Whether two poses are one: within a tenth of the distance to what b sees."""
    return float(np.linalg.norm(a.pose.center - b.pose.center)) < 0.1 * b.evidence.depth_m
