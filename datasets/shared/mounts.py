"""Queries of one moment or of one sequence, whose relative poses are known from files."""

import dataclasses
import pathlib

from localize.io.names import Names, of_queries
from localize.io.rigs import read_rigs
from localize.io.text import read_poses
from localize.types import Image, Mounted, collecting

SEQUENCE = "odometry"


def mounted(
    queries: list[Image], rigs: str | None, odometry: str | None, window: int, problems: list[str]
) -> list[Image]:
    """The queries, with `mounted` where a file knows of it; what cannot be used goes to `problems`.

    rigs: folder of a COLMAP model, or list of lines `group name qw qx qy qz tx ty tz` (cam_from_rig).
    odometry: list of lines `name qw qx qy qz tx ty tz` (cam_from_odometry) in order of time; window: see `Mounted`.
    """
    if window < 2:
        problems.append(
            f"dataset.window is {window}, but must be at least 2: the photos of a sequence that count as one"
        )
    if rigs and odometry:
        problems.append(
            "dataset.rigs and dataset.odometry are both given: take one; odometry may name the photos of all cameras"
        )
        return queries
    names, found = Names(query.name for query in queries), {}
    if rigs:
        with collecting(problems):
            found = read_rigs(pathlib.Path(rigs), problems, names)
    if odometry:
        with collecting(problems):
            poses = read_poses(pathlib.Path(odometry).expanduser(), problems, names)
            poses = of_queries(odometry, poses, names, problems)
            found = {name: Mounted(SEQUENCE, pose, at, window) for at, (name, pose) in enumerate(poses.items())}
    return [dataclasses.replace(query, mounted=found.get(query.name)) for query in queries]
