"""Whether the poses given for the references of a map are right: the matches between their photos tell.

A match agrees with two poses if its rays pass each other in front of both cameras. Photos that hardly overlap have
wrong matches; so where few of all matches agree, those are asked that fit some relative pose of their two photos, found
without the given ones. Measured with SIFT: of all matches 0.98 (a rendered room) and 0.58 (South Building) agree with
right poses, of those that fit some pose 1.00 and 0.99. With poses in another convention or of other photos it is at
most 0.42, where they were read in the right convention as much as with right poses.
"""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.geometry.colmap import to_pycolmap_camera
from localize.geometry.conventions import OURS, Convention, conventions
from localize.mapping.judged_pairs import PosedPair, Poses, counted, fitting_some_pose, posed_pair
from localize.mapping.still import reach_px, standing_still
from localize.types import ImageList, PairMatches, Pose

PAIRS = 5000  # looked at at most
SUSPICIOUS = 0.8  # a smaller share of all matches that agree is looked at again
WARN, STOP = 0.8, 0.25  # share that agrees of the matches that fit some relative pose
SAMPLE, TIMES = 24, 3  # pairs looked at again, and how often one reference is among them
LEAST_OF_REFERENCE = 30  # matches, and of those with one neighbour that speak against it
DISAGREES = 0.5  # of the usual share of a reference's matches that agree, and of those that fit some relative pose
MANY = 0.2  # of the references; more do not disagree each for itself
MOST_FIT = 0.5  # of the matches of a reference with a neighbour, for these to speak against it
MOST_ASKED = 20  # references that may disagree with their neighbours
TURNED_DEG = 1.0  # between the rays of a match that can stand still
NARROW = 0.1  # a smaller share of matches whose rays meet at an angle that makes points is named
SHOWN = 5


@dataclass(frozen=True, eq=False)
class PoseVerdict:
    """What the matches between references say of their poses."""

    names: tuple[str, ...]
    compared: np.ndarray  # (I,) matches of each that were looked at
    agreeing: np.ndarray  # (I,) of these
    fitting: float | None  # share that agrees of matches that fit some relative pose; None: not looked at
    still: int  # matches that stand still in the pictures while the cameras turn; 0: as few as by chance
    warnings: tuple[str, ...] = ()
    refusal: str = ""  # why a map of these poses is no use

    VERSION: ClassVar[int] = 2

    @property
    def share(self) -> float | None:
        """Of the matches that agree with the poses, 0..1; None without any."""
        return float(self.agreeing.sum() / self.compared.sum()) if self.compared.any() else None

    @property
    def worst(self) -> dict[str, float]:
        """The share of each of the references of which the fewest agree."""
        enough = np.flatnonzero(self.compared >= LEAST_OF_REFERENCE)
        shares = self.agreeing[enough] / self.compared[enough]
        return {self.names[enough[i]]: float(shares[i]) for i in np.argsort(shares, kind="stable")[:SHOWN]}


Judged = tuple[PosedPair, np.ndarray]  # and which of its matches agree, (M,) bool


def judge_poses(
    images: ImageList,
    pairs: Iterable[tuple[str, str]],
    keypoints_of: Callable[[str], np.ndarray],
    matches_of: Callable[[tuple[str, str]], PairMatches],
    min_angle_deg: float = 0.0,
    name_single: bool = True,
) -> PoseVerdict:
    """The verdict on the poses of the images.

    keypoints_of: an image's (N, 2) px, by name; matches_of: a pair's, found without the poses; of a large map only some
    are asked for. min_angle_deg: between the rays of a match, for the mapping to make a point of it. name_single: say
    which references disagree with their neighbours, unless something else is known to be wrong.
    """
    pairs, poses = list(pairs), {image.name: image.pose for image in images}
    chosen = [pairs[i] for i in np.linspace(0, len(pairs) - 1, min(len(pairs), PAIRS)).astype(int)]
    rays_of = functools.cache(lambda camera: to_pycolmap_camera(camera).cam_from_img)
    made = [posed_pair(images, pair, rays_of, keypoints_of, matches_of(pair).rows) for pair in chosen]
    found, still = _without_still(made, poses)
    judged = [(p, p.agree(poses)) for p in found]
    counts = _per_reference(judged)
    compared, agreeing = np.array([counts[name] for name in images.names], int).reshape(-1, 2).T
    rest, singles = _without_single(judged, poses)
    many = len(singles) > max(2, MANY * len(images))
    fitting, sentence, no_use = _second_look(judged if many else rest, poses)
    figures = images.names, compared, agreeing, fitting, still
    if no_use:
        return PoseVerdict(*figures, refusal=sentence)
    said = [sentence] if sentence else singles * name_single  # where all are in doubt, none is to blame
    return PoseVerdict(*figures, (*_narrow(judged, poses, min_angle_deg), *said))


def _per_reference(judged: Iterable[Judged]) -> dict[str, np.ndarray]:
    """How many matches a reference has, and how many of these agree, by name; zeros for those without any."""
    counts = defaultdict(lambda: np.zeros(2, int))
    for pair, agree in judged:
        for name in pair.names:
            counts[name] += len(agree), agree.sum()
    return counts


def _without_still(pairs: list[PosedPair], poses: Poses) -> tuple[list[PosedPair], int]:
    """The pairs without the matches that stand still, and how many these are; 0 where chance may have made them."""
    if not pairs:
        return pairs, 0
    turned = np.concatenate([p.angles_deg(poses) for p in pairs]) > TURNED_DEG
    moved_px = np.where(turned, np.concatenate([p.moved_px for p in pairs]), np.inf)
    lengths = [len(p.x) for p in pairs]
    still = standing_still(moved_px, np.repeat([reach_px(p.px_of_1600) for p in pairs], lengths))
    if still is None:
        return pairs, 0
    kept = np.split(~still, np.cumsum(lengths)[:-1])
    return [p.only(k) for p, k in zip(pairs, kept, strict=True)], int(still.sum())


def _narrow(judged: list[Judged], poses: Poses, min_angle_deg: float) -> list[str]:
    """One sentence where the rays of hardly any agreeing match meet at an angle of which the mapping makes a point."""
    angles = np.concatenate([np.zeros(0), *(p.angles_deg(poses)[agree] for p, agree in judged)])
    if not len(angles) or (angles >= min_angle_deg).mean() >= NARROW:
        return []
    apart = np.median([np.linalg.norm(poses[a].center - poses[b].center) for a, b in (p.names for p, _ in judged)])
    return [
        f"the rays of {(angles < min_angle_deg).mean():.0%} of the matches between references meet at less than "
        f"{min_angle_deg:g} degrees (typically {np.median(angles):.2f}, the cameras {apart:.3g} apart), too narrow for "
        "points: take references from places further apart, or a smaller mapping.min_angle_deg"
    ]


def _without_single(judged: list[Judged], poses: Poses) -> tuple[list[Judged], list[str]]:
    """The pairs without those of references that disagree with their neighbours, and one sentence for each such.

    Such a reference has few agreeing matches, with no neighbour many, while its photo fits others in another way. The
    worst are put aside first, as they speak against their neighbours too.
    """
    sentences, rest, asked = [], judged, set()
    while len(asked) < MOST_ASKED:
        counts = {n: c for n, c in _per_reference(rest).items() if c[0] >= LEAST_OF_REFERENCE}
        shares = {name: good / total for name, (total, good) in counts.items()}
        usual = np.median(list(shares.values())) if shares else 0
        worst = min(shares.keys() - asked, key=shares.get, default=None)
        if worst is None or shares[worst] >= DISAGREES * usual:
            break
        asked.add(worst)
        mine = [(p, agree) for p, agree in rest if worst in p.names]
        if any(len(agree) >= LEAST_OF_REFERENCE and agree.mean() >= MOST_FIT for _, agree in mine):
            continue  # a neighbour vouches for it
        own = sorted((p for p, _ in mine), key=lambda p: -p.number)
        fit = fitting_some_pose(own[:TIMES], LEAST_OF_REFERENCE, MOST_FIT)
        total, agreeing = counted(fit, poses)
        if len(fit) > 1 and agreeing < DISAGREES * usual * total:  # repeated structure may deceive one pair
            rest = [(p, agree) for p, agree in rest if worst not in p.names]
            sentences.append(
                f"the pose of reference {worst} contradicts the photos that look like it: {total} matches fit some "
                f"relative pose of them, but {agreeing} the given one; mend it, unless they show another place that "
                "looks the same"
            )
    return rest, sentences


def _second_look(judged: list[Judged], poses: Poses) -> tuple[float | None, str, bool]:
    """The share that agrees of the matches that fit some relative pose, None where there is no need to ask; a sentence
    on poses that contradict these, empty if they do not; and whether they are no use."""
    if sum(agree.sum() for _, agree in judged) >= SUSPICIOUS * sum(len(agree) for _, agree in judged):
        return None, "", False
    fit = fitting_some_pose(_sample([p for p, _ in judged]))
    total, agreeing = counted(fit, poses)
    if not total or agreeing >= WARN * total:
        return (agreeing / total if total else None), "", False
    fitting = agreeing / total
    sentence = (
        f"the poses of the references contradict their photos: they fit {fitting:.0%} of the {total} matches "
        "looked at that fit some relative pose of two photos, and right ones fit about all of these"
    )
    better, share = _better_convention(fit, poses)
    if share >= max(WARN, 1.2 * fitting):
        return fitting, f"{sentence}. Read as {better} they fit {share:.0%}: write them as {OURS}", True
    check = f"check that they are {OURS}, that they belong to these photos, and the intrinsics"
    return fitting, f"{sentence}: {check}", fitting < STOP


def _sample(pairs: list[PosedPair]) -> list[PosedPair]:
    """Pairs of many matches, no reference in too many of them."""
    times, chosen = Counter(), []
    for pair in sorted(pairs, key=lambda p: -p.number):
        if len(chosen) < SAMPLE and max(times[name] for name in pair.names) < TIMES:
            times.update(pair.names)
            chosen.append(pair)
    return chosen


def _better_convention(pairs: list[PosedPair], poses: Poses) -> tuple[Convention, float]:
    """The convention in which the poses agree with most matches, the simplest of such, and the share of these."""
    given = np.array([p.rotation for p in poses.values()]), np.array([p.translation for p in poses.values()])
    shares = {}
    for convention in conventions():
        read = map(Pose, *convention.read(*given))
        total, agreeing = counted(pairs, dict(zip(poses, read, strict=True)))
        shares[convention] = agreeing / total
    most = max(shares.values())
    best = next(c for c, share in shares.items() if share > most - 0.02)
    return best, shares[best]
