"""Poses with and without what a query knows of itself, on generated matches: success, samples, milliseconds; Markdown.

    python benchmarks/gravity.py [--trials 100] [--outliers 0.8 0.9 0.95 0.98]

A camera of 1280 x 960 px (f = 1000 px), 1,000 matches with points 5 to 50 m away and 1 px of noise; outliers lie
anywhere in the photo, and the order of the matches says nothing. Noise of gravity: a normal of so many degrees about
two axes; the prior says it (1 where there is none). Wrong: 30 deg off, and said to be good to 1. A pose within 0.5 m
and 1 deg succeeds.
"""

import argparse
import time

import numpy as np
import poselib
import scipy.spatial.transform as transform

from localize.geometry.poses import pose_error
from localize.pose.poselib import PoseLib
from localize.pose.upright import sample_pairs
from localize.types import Camera, Matches2D3D, Pose, Prior

CAMERA = Camera("SIMPLE_PINHOLE", 1280, 960, [1000.0, 640.0, 480.0])
SHARES = (0.8, 0.9, 0.95, 0.98)
GRAVITY = {"exact": 0.0, "1 deg": 1.0, "3 deg": 3.0, "wrong, 30 deg": 30.0}
POSITIONS = {"right, 5 m": (1.5, 5.0), "loose, 50 m": (15.0, 50.0), "wrong, 5 m": (40.0, 5.0)}  # m off, radius
COUNTED = 20  # trials that are searched again to count samples
SOLVER = PoseLib(prosac=False)


def trial(share: float, seed: int, num: int = 1000) -> tuple[Pose, Matches2D3D, np.random.Generator]:
    """A pose and its matches, of which this share is wrong."""
    rng = np.random.default_rng(seed)
    held = transform.Rotation.from_euler("zxy", [*rng.normal(0, 10, 2), rng.uniform(0, 360)], degrees=True)
    level = transform.Rotation.from_matrix(
        [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    )  # the world's z is up, the camera's y down
    R = (held * level).as_matrix()
    pose = Pose(R, -R @ rng.normal(0, 20, 3))
    size, f, center = np.array([1280, 960]), 1000.0, np.array([640, 480])
    xy = rng.uniform(0, size, (num, 2))
    seen = np.column_stack([(xy - center) / f, np.ones(num)]) * rng.uniform(5, 50, (num, 1))
    points = (seen - pose.translation) @ pose.rotation
    xy += rng.normal(size=(num, 2))
    wrong = rng.permutation(num)[: round(share * num)]
    xy[wrong] = rng.uniform(0, size, (len(wrong), 2))
    rows = np.arange(num)
    return pose, Matches2D3D(xy, points, rows, rows, np.zeros(num), np.ones(num)), rng


def gravity_of(pose: Pose, off_deg: float, rng: np.random.Generator) -> Prior:
    """What a sensor would say: normal noise, or, from 10 degrees on, exactly so far off."""
    true = pose.rotation @ [0.0, 0.0, -1.0]
    across = np.linalg.svd(true[None])[2][1:]
    noise = rng.normal(size=2)
    noise *= off_deg / np.linalg.norm(noise) if off_deg >= 10 else off_deg
    turned = transform.Rotation.from_rotvec(np.radians(noise) @ across).apply(true)
    return Prior(turned, gravity_deg=off_deg if 1 <= off_deg < 10 else 1.0)


def samples_of(matches: Matches2D3D, prior: Prior | None, focal: float = 1000.0) -> int:
    """How many samples the search drew."""
    if prior is not None:
        rays = (matches.xy - CAMERA.params[1:]) / focal
        return sample_pairs(SOLVER, rays, matches.xyz, prior, SOLVER.max_error_px / focal)[3]
    camera = {"model": CAMERA.model, "width": 1280, "height": 960, "params": CAMERA.params.tolist()}
    return poselib.estimate_absolute_pose(matches.xy, matches.xyz, camera, SOLVER.options(CAMERA), {})[1]["iterations"]


def row(share: float, trials: int, prior_of) -> list[str]:
    """Success, mean samples, median and mean milliseconds, and how often a part of the prior was said to be wrong."""
    good, samples, taken, noted = [], [], [], []
    for seed in range(trials):
        pose, matches, rng = trial(share, seed)
        prior = prior_of(pose, rng)
        start = time.process_time()
        found = SOLVER.solve(matches, CAMERA, prior)
        taken.append(1000 * (time.process_time() - start))
        error = (np.inf, np.inf) if found.pose is None else pose_error(found.pose, pose)
        good.append(error[0] < 0.5 and error[1] < 1)
        noted.append(bool(found.notes))
        if seed < COUNTED:
            samples.append(samples_of(matches, prior if prior is not None and prior.gravity is not None else None))
    return [
        f"{100 * np.mean(good):.0f} %",
        f"{np.mean(samples):,.0f}",
        f"{np.median(taken):.1f}",
        f"{np.mean(taken):.1f}",
        f"{100 * np.mean(noted):.0f} %",
    ]


def placed(off_m: float, radius_m: float):
    """What makes a position prior so far off in a random direction."""

    def prior_of(pose: Pose, rng: np.random.Generator) -> Prior:
        away = rng.normal(size=3)
        return Prior(position=pose.center + off_m * away / np.linalg.norm(away), radius_m=radius_m)

    return prior_of


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--trials", type=int, default=100)
    arguments.add_argument("--outliers", type=float, nargs="*", default=SHARES)
    arguments.add_argument("--positions", type=float, default=0.8, help="outliers of the rows with position priors")
    given = arguments.parse_args()
    trials = given.trials
    row(0.8, 3, lambda pose, rng: gravity_of(pose, 1.0, rng))  # compiles
    print("| outliers | prior | success | samples | ms median | ms mean | said to be wrong |\n|" + " --- |" * 7)
    for share in given.outliers:
        print("|", " | ".join([f"{share:.0%}", "none: P3P", *row(share, trials, lambda *_: None)]), "|", flush=True)
        for name, off in GRAVITY.items():
            cells = row(share, trials, lambda pose, rng, off=off: gravity_of(pose, off, rng))
            print("|", " | ".join([f"{share:.0%}", f"gravity {name}", *cells]), "|", flush=True)
    for name, (off_m, radius_m) in POSITIONS.items() if given.positions else ():
        print(
            "|",
            " | ".join(
                [f"{given.positions:.0%}", f"position {name}", *row(given.positions, trials, placed(off_m, radius_m))]
            ),
            "|",
            flush=True,
        )


if __name__ == "__main__":
    main()
