"""What contradicts the user's data in more than one query, in one sentence."""

import logging
from collections.abc import Iterable, Mapping

import numpy as np

from localize.evaluate.truth_check import other_truth
from localize.pose.focal import focal_in
from localize.types import Pose, PoseEstimate, Scene

log = logging.getLogger(__name__)


def focal_notes(estimates: Iterable[PoseEstimate]) -> list[str]:
    """One sentence for each focal length that some queries' inliers contradict, those of most queries first."""
    fitted: dict[float, list[float]] = {}
    localized = 0
    for estimate in estimates:
        localized += estimate.pose is not None
        for fits, given in filter(None, map(focal_in, estimate.notes)):
            fitted.setdefault(given, []).append(fits)
    return [
        f"{len(fits)} of {localized} localized queries fit f about {np.median(fits):.0f} px better than {given:.0f} px "
        "given: give these queries focal=unknown, or mend their intrinsics"
        for given, fits in sorted(fitted.items(), key=lambda item: -len(item[1]))
    ]


def warn_of_focals(estimates: Iterable[PoseEstimate]) -> None:
    """The same on the log."""
    for sentence in focal_notes(estimates):
        log.warning("%s", sentence)


def truth_notes(estimates: Mapping[str, Pose], scene: Scene) -> list[str]:
    """One sentence if the ground truth is written in another convention or frame, on the log too."""
    sentence = other_truth(estimates, {image.name: image.pose for image in scene.ground_truth or ()})
    if sentence is None:
        return []
    log.warning("%s", sentence)
    return [sentence]
