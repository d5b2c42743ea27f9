"""Milliseconds of the guided round, on generated photos of 2,000 keypoints that show 2,000 points of the map.

    python benchmarks/guided_speed.py

One thread. `from one pose` is `Guided.refine_from`; `all first poses` is the whole answer to a query with 500 matches,
RANSAC included, once where the first pose is beyond doubt, and once where others are tried too.
"""

import time

import numpy as np
import threadpoolctl

from localize.pose.poselib import PoseLib
from localize.pose.refinement.base import SeenPoints
from localize.pose.refinement.guided import Guided
from localize.types import Camera, Features, Image, ImageList, Matches2D3D, PointRows, Pose, View

CAMERA = Camera("PINHOLE", 1024, 768, [900.0, 900.0, 512.0, 384.0])
POINTS, DIM, VIEWS, REPEAT = 2000, 256, 5, 20


def unit(d: np.ndarray) -> np.ndarray:
    """Rows of unit length."""
    return d / np.linalg.norm(d, axis=1, keepdims=True)


def scene(rng: np.random.Generator) -> SeenPoints:
    """Points that five references see, all of them in the query too."""
    xy, depth = rng.uniform((0, 0), (1024, 768), (POINTS, 2)), rng.uniform(5, 30, POINTS)
    points = np.column_stack([(xy - [512, 384]) / 900, np.ones(POINTS)]) * depth[:, None]
    base = rng.normal(size=(POINTS, DIM))
    rows = unit(np.concatenate([base + 0.5 * rng.normal(size=base.shape) for _ in range(VIEWS)])).astype(np.float16)
    centers = rng.normal(size=(VIEWS, 3)) * 0.5
    images = ImageList(Image(str(i), CAMERA, Pose(np.eye(3), -c)) for i, c in enumerate(centers))
    indptr = POINTS * np.arange(VIEWS + 1)
    return SeenPoints(images, PointRows(points, rows, np.tile(np.arange(POINTS), VIEWS), indptr))


def photo(rng: np.random.Generator, seen: SeenPoints, shown: int, right: int, wrong: int) -> View:
    """2,000 keypoints, the first of them at map points; some matches, the rest of them wrong."""
    points = seen.rows.points[:shown]
    xy = 900 * points[:, :2] / points[:, 2:] + [512, 384] + 0.5 * rng.normal(size=(shown, 2))
    xy = np.concatenate([xy, rng.uniform((0, 0), (1024, 768), (POINTS - shown, 2))])
    d = seen.rows.descriptors[:shown].astype(np.float64) + 0.03 * rng.normal(size=(shown, DIM))
    descriptors = unit(np.concatenate([d, rng.normal(size=(POINTS - shown, DIM))])).astype(np.float32)
    keypoint = np.concatenate([np.arange(right), rng.permutation(POINTS)[:wrong]])
    point = np.concatenate([np.arange(right), rng.permutation(POINTS)[:wrong]])
    z = np.zeros(len(keypoint))
    matches = Matches2D3D(xy[keypoint], seen.rows.points[point], keypoint, point, z, z)
    return View(Features(xy, descriptors, np.ones(POINTS)), matches, CAMERA)


def milliseconds(work) -> float:
    """Median of some repetitions, CPU of this thread."""
    work()
    taken = []
    for _ in range(REPEAT):
        start = time.thread_time()
        work()
        taken.append(time.thread_time() - start)
    return 1000 * float(np.median(taken))


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    seen, solver = scene(rng), PoseLib(min_confidence=0.0)
    for label, shown, right in (("sure", 1200, 250), ("in doubt", 60, 25)):
        view = photo(rng, seen, shown, right, 500 - right)
        first = solver.solve(view.matches, CAMERA)
        print(
            f"{label}: in view {Guided().estimate(view, seen, solver).evidence.in_view}, "
            f"first RANSAC {milliseconds(lambda v=view: solver.solve(v.matches, CAMERA)):.1f} ms, "
            f"from one pose {milliseconds(lambda v=view, f=first: Guided().refine_from(v, seen, solver, f)):.1f} ms, "
            f"all first poses {milliseconds(lambda v=view: Guided().estimate(v, seen, solver)):.1f} ms"
        )


if __name__ == "__main__":
    with threadpoolctl.threadpool_limits(1):
        main()
