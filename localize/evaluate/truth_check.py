"""Whether the ground truth is written in another convention or frame than the references: its errors tell."""

from collections.abc import Iterator, Mapping

import numpy as np

from localize.geometry.conventions import OURS, conventions
from localize.geometry.poses import nearest_rotation, pose_error
from localize.types import Pose

LEAST, LEAST_OF_FRAME = 3, 4  # localized queries
SHARE = 0.8  # of them that another reading must explain
EXACT_DEG, EXACT_SHARE = 1.0, 0.05  # errors that explain: these, the position's as a share of the spread of all,
GAIN = 0.1  # or this share of the median errors as the truth is written


def other_truth(estimates: Mapping[str, Pose], truth: Mapping[str, Pose]) -> str | None:
    """One sentence, if nearly all estimates fit the true poses only in another convention or in another frame.

    The simplest such reading is named. None also where there are too few estimates to tell.
    """
    names = [name for name in estimates if name in truth]
    if len(names) < LEAST:
        return None
    found = [estimates[name] for name in names]
    errors = _errors(found, [truth[name] for name in names])
    spread = np.median(np.linalg.norm(_centers(found) - _centers(found).mean(0), axis=1))
    exact = np.maximum(GAIN * np.median(errors, axis=0), (EXACT_SHARE * spread, EXACT_DEG))
    if _explained(errors, exact) >= SHARE / 2:
        return None
    for reading, poses in _readings(truth, names, found):
        other = _errors(found, poses)
        if _explained(other, exact) >= SHARE:
            length, degrees = np.median(other, axis=0)
            return (
                f"the ground truth fits {(other <= exact).all(1).sum()} of {len(names)} localized queries only "
                f"{reading} (median errors {length:.3g} and {degrees:.2f} deg): write it as {OURS}, in the references' "
                "frame"
            )
    return None


def _readings(truth: Mapping[str, Pose], names: list[str], found: list[Pose]) -> Iterator[tuple[str, list[Pose]]]:
    """Ways to read the true poses, and those of these names then."""
    row = {name: i for i, name in enumerate(truth)}
    rows = [row[name] for name in names]
    given = np.array([p.rotation for p in truth.values()]), np.array([p.translation for p in truth.values()])
    for convention in conventions():
        R, t = convention.read(*given)
        yield f"if it is read as {convention}", [Pose(R[i], t[i]) for i in rows]
    if len(names) >= LEAST_OF_FRAME:
        yield _in_our_frame([truth[name] for name in names], found)


def _in_our_frame(given: list[Pose], found: list[Pose]) -> tuple[str, list[Pose]]:
    """How the given world lies in that of the found poses, by a similarity that fits most, and they in it."""
    turns = np.array([f.rotation.T @ g.rotation for f, g in zip(found, given, strict=True)])
    turn = nearest_rotation(np.median(turns, axis=0))
    a, b = _centers(given) @ turn.T, _centers(found)
    first, second = np.triu_indices(len(a), 1)
    lengths = np.linalg.norm(a[first] - a[second], axis=1)
    ratios = np.linalg.norm(b[first] - b[second], axis=1)[lengths > 0] / lengths[lengths > 0]
    scale = float(np.median(ratios)) if len(ratios) else 1.0
    move = np.median(b - scale * a, axis=0)
    poses = [Pose(R := g.rotation @ turn.T, -R @ (scale * c + move)) for g, c in zip(given, a, strict=True)]
    degrees = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    moved = ", ".join(f"{v:.4g}" for v in move)
    return f"if its frame is turned by {degrees:.1f} deg, scaled by {scale:.3g} and moved by {moved}", poses


def _centers(poses: list[Pose]) -> np.ndarray:
    return np.array([pose.center for pose in poses])


def _errors(found: list[Pose], truth: list[Pose]) -> np.ndarray:
    """(Q, 2) in the references' unit and in degrees."""
    return np.array([pose_error(f, t) for f, t in zip(found, truth, strict=True)])


def _explained(errors: np.ndarray, exact: np.ndarray) -> float:
    return float((errors <= exact).all(1).mean())
