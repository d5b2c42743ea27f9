"""Rigs of three cameras against their best single camera, as Markdown tables.

    python benchmarks/rigs.py generated [--repeat 100]
    python benchmarks/rigs.py minitown [--feature sift] [--store outputs/store] [--within 10]

generated: three cameras 60 degrees and 30 cm apart see points 4 to 25 m away; so many matches of each are right, to
half a pixel, the others lie anywhere. The last rows are sequences whose odometry drifts, five photos solved together.
minitown: photos of one condition whose places are near each other count as rigs, with the true relative poses; the
matches are those of parallel_search. `best single`: of each rig the photo with the most inliers, if these are enough,
and the others by their relative poses. Then the relative poses are wrong: one camera of each rig was turned by
20 degrees and shifted by half a metre, or all are the wrong way round (rig_from_cam for cam_from_rig).
"""

import argparse
import time

import numpy as np
from scenes import scene

from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.geometry.colmap import camera_rays
from localize.geometry.poses import composed, inverse, pose_error, rotation_from_qvec
from localize.pipelines.mapped_scene import map_scene
from localize.pose.poselib import PoseLib
from localize.pose.refinement.none import NoRefinement
from localize.pose.refinement.rig import estimate_rig
from localize.roles import Components
from localize.stages import Workbench, build_index, extract_features, match_points, query_photos, retrieve
from localize.store import Store
from localize.types import Camera, Features, Matches2D3D, Pose, View

SOLVER = PoseLib()
PINHOLE = Camera("PINHOLE", 640, 480, [500.0, 510.0, 320.0, 240.0])
NOTHING = Features(np.zeros((0, 2)), np.zeros((0, 8)), np.zeros(0))
WITHIN = ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))
GENERATED = [(15, 0.90), (15, 0.95), (8, 0.90), (8, 0.95), (5, 0.90), (0, 1.0)]


def turned(deg: float, center) -> Pose:
    """cam_from_rig of a camera turned about the vertical."""
    R = rotation_from_qvec([np.cos(np.radians(deg / 2)), 0, -np.sin(np.radians(deg / 2)), 0])
    return Pose(R, -R @ np.asarray(center, float))


MOUNTS = [turned(0, (0, 0, 0)), turned(60, (0.3, 0, 0)), turned(-60, (-0.3, 0.1, 0))]


def generated_view(rng, pose: Pose, good: int, bad: int) -> View:
    """A photo of so many right and wrong matches."""
    n = good + bad
    xy, depth = rng.uniform([0, 0], [640, 480], (n, 2)), rng.uniform(4, 25, (n, 1))
    points = (np.column_stack([camera_rays(PINHOLE, xy), np.ones(n)]) * depth - pose.translation) @ pose.rotation
    xy[:good] += 0.5 * rng.normal(size=(good, 2))
    xy[good:] = rng.uniform([0, 0], [640, 480], (bad, 2))
    order, rows = rng.permutation(n), np.arange(n)
    return View(NOTHING, Matches2D3D(xy[order], points[order], rows, rows, np.zeros(n), np.ones(n)), PINHOLE)


def alone(views: list[View], mounts: list[Pose]) -> list[Pose | None]:
    """Each photo by itself."""
    return [SOLVER.estimate(v.matches, v.camera, v.prior).pose for v in views]


def best_single(views: list[View], mounts: list[Pose]) -> list[Pose | None]:
    """The photo with the most inliers, the others by their relative poses."""
    found = [SOLVER.estimate(v.matches, v.camera, v.prior) for v in views]
    best = max(range(len(found)), key=lambda i: (found[i].pose is not None, found[i].num_inliers))
    if found[best].pose is None:
        return [None] * len(views)
    return [composed(composed(m, inverse(mounts[best])), found[best].pose) for m in mounts]


def together(views: list[View], mounts: list[Pose]) -> list[Pose | None]:
    """All as one rig."""
    return [e.pose for e in estimate_rig(views, mounts, None, SOLVER, NoRefinement())]


WAYS = {"each alone": alone, "best single": best_single, "rig": together}


def row(name: str, rigs: list[tuple[list[View], list[Pose], list[Pose]]], way) -> str:
    """Recall, median errors and wrong poses (more than 5 m or 10 degrees off) over the photos of all rigs."""
    errors, start = [], time.perf_counter()
    for views, mounts, truths in rigs:
        for pose, truth in zip(way(views, mounts), truths, strict=True):
            errors.append((np.inf, np.inf) if pose is None else pose_error(pose, truth))
    seconds, (metres, degrees) = time.perf_counter() - start, np.transpose(errors)
    recall = " / ".join(f"{100 * np.mean((metres < m) & (degrees < d)):.1f}" for m, d in WITHIN)
    failed = np.isinf(metres)
    wrong = np.count_nonzero(~failed & ((metres > WITHIN[-1][0]) | (degrees > WITHIN[-1][1])))
    median = f"{100 * np.median(metres):.1f} | {np.median(degrees):.2f}" if failed.mean() < 0.5 else "- | -"
    return f"| {name} | {recall} | {median} | {failed.sum()} | {wrong} | {1000 * seconds / len(rigs):.0f} |"


HEAD = "| {} | way | recall % within {} | median cm | deg | failed | wrong | ms a rig |\n| --- |" + 7 * " --- |"
THRESHOLDS = ", ".join(f"{m:g} m / {d:g} deg" for m, d in WITHIN)


def generated(repeat: int) -> None:
    """The table of generated matches."""
    rng = np.random.default_rng(0)
    print(HEAD.format(f"right matches of each photo, outliers ({repeat} rigs)", THRESHOLDS))
    for good, share in GENERATED:
        bad, rigs = 100 if good == 0 else round(good * share / (1 - share)), []
        for _ in range(repeat):
            rig = any_pose(rng)
            truths = [composed(m, rig) for m in MOUNTS]
            rigs.append(([generated_view(rng, t, good, bad) for t in truths], MOUNTS, truths))
        for name, way in WAYS.items():
            print(row(f"{good}, {100 * share:.0f} % of {good + bad} | {name}", rigs, way), flush=True)
    for drift in (0.0, 0.01, 0.03):
        rigs = [sequence(rng, drift) for _ in range(repeat)]
        for name, way in WAYS.items():
            print(row(f"sequence, 8, 90 % of 80, drift {100 * drift:.0f} % | {name}", rigs, way), flush=True)


def any_pose(rng) -> Pose:
    return Pose(rotation_from_qvec(rng.normal(size=4)), 5 * rng.normal(size=3))


def sequence(rng, drift: float):
    """Five photos 1 m apart; each step of the odometry is wrong by this share of its length, and by 0.1 deg per %."""
    start, truths, odometry = any_pose(rng), [], []
    true = measured = Pose(np.eye(3), np.zeros(3))
    for _ in range(5):
        truths.append(composed(true, start))
        odometry.append(measured)
        step = turned(5 * rng.normal(), (0, 0, 1))
        axis = np.radians(10 * drift) / 2 * rng.normal(size=3)
        off = Pose(rotation_from_qvec([1, *axis]), drift * rng.normal(size=3))
        true, measured = composed(step, true), composed(composed(off, step), measured)
    return [generated_view(rng, t, 8, 72) for t in truths], odometry, truths


def minitown(feature, store: str, within_m: float) -> None:
    """The tables of Minitown's photos."""
    place = scene("minitown")
    use, bench = Components(feature=feature), Workbench(Store(store), progress=True)
    mapped, queries = map_scene(bench, use, place), extract_features(bench, use.feature, query_photos(place))
    index, frames = build_index(bench, use.index, mapped.points), retrieve(bench, use, queries, mapped.described)
    matches = match_points(bench, use, queries, mapped.points, index=index, frames=frames).matches
    rigs = []
    for condition in sorted({tag for q in place.queries for tag in q.tags}):
        photos = [i for i in place.ground_truth if i.tags == (condition,)]
        for members in near(photos, within_m):
            truths = [i.pose for i in members]
            views = [View(queries.features[i.name], matches[i.name], i.camera) for i in members]
            rigs.append((views, [composed(t, inverse(truths[0])) for t in truths], truths))
    bumped = [(v, [*m[:2], composed(turned(20, (0.5, 0, 0)), m[2])], t) for v, m, t in rigs]
    swapped = [(v, [inverse(pose) for pose in m], t) for v, m, t in rigs]
    print(f"\n{len(rigs)} rigs of three photos of one condition within {within_m:g} m\n")
    print(HEAD.format("relative poses", THRESHOLDS))
    for told, of_rigs in (("true", rigs), ("one camera moved", bumped), ("all the wrong way round", swapped)):
        for name, way in WAYS.items():
            print(row(f"{told} | {name}", of_rigs, way), flush=True)


def near(photos: list, within_m: float):
    """Threes of photos, the nearest first, no photo twice."""
    centers = np.array([i.pose.center for i in photos])
    apart, left = np.linalg.norm(centers[:, None] - centers, axis=2), set(range(len(photos)))
    while len(left) >= 3:
        two = {i: sorted(left - {i}, key=lambda j, i=i: apart[i, j])[:2] for i in left}
        i = min(left, key=lambda i: apart[i, two[i][1]])
        if apart[i, two[i][1]] > within_m:
            return
        yield [photos[j] for j in (i, *two[i])]
        left -= {i, *two[i]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=("generated", "minitown"))
    arguments.add_argument("--repeat", type=int, default=100)
    arguments.add_argument("--feature", choices=("sift", "sift_crbnet"), default="sift_crbnet")
    arguments.add_argument("--store", default="outputs/store")
    arguments.add_argument("--within", type=float, default=10.0)
    given = arguments.parse_args()
    if given.what == "generated":
        generated(given.repeat)
    else:
        minitown(Sift() if given.feature == "sift" else SiftCrbnet(), given.store, given.within)


if __name__ == "__main__":
    main()
