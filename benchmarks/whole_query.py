"""Where the milliseconds of one query go, from the photo's file to the pose, as a Markdown table per scene.

    python benchmarks/whole_query.py Herz-Jesu-P25 minitown [--feature dense_crbnet] [--max-keypoints 2048]
        [--cores 1] [--store FOLDER]

Localizer.localize is called for one query after the other, as a user does; its steps are clocked inside, by the wall
and by the processor's time. A query runs once for the compilers, then twice; a step's figure is the median over the
queries of its smaller time.
"""

import argparse
import contextlib
import os
import pathlib
import tempfile
import time
from collections import defaultdict
from unittest import mock

import numpy as np
from scenes import scene

import localize.localizer
from localize import Localizer, Scene, Store
from localize.features.alike import Alike
from localize.features.dense_crbnet import DenseCrbnet
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.pipelines.build_map import build_map

FEATURES = {"dense_crbnet": DenseCrbnet, "sift_crbnet": SiftCrbnet, "sift": Sift, "alike": Alike}
EXTRACTION = ("read the photo", "local features")
OTHER = "rest (conversions, checks)"


class Clock:
    """(wall, processor) seconds by step; what a step spends inside another one counts for that one only."""

    def __init__(self):
        self.seconds, self._inner = defaultdict(lambda: np.zeros(2)), []

    @contextlib.contextmanager
    def step(self, name: str):
        """Clock one step."""
        self._inner.append(np.zeros(2))
        start = now()
        yield
        taken = now() - start
        self.seconds[name] += taken - self._inner.pop()
        if self._inner:
            self._inner[-1] += taken

    def clocked(self, name: str, owner, attribute: str):
        """A patch of a function or method, to be entered, so that its calls are clocked."""
        called = getattr(owner, attribute)

        def stand_in(*args, **kwargs):
            with self.step(name):
                return called(*args, **kwargs)

        return mock.patch.object(owner, attribute, stand_in)


def now() -> np.ndarray:
    """(wall, processor) seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def clocked_steps(clock: Clock, localizer: Localizer) -> list:
    """Patches of all that Localizer.localize calls."""
    return [
        clock.clocked("read the photo", localize.localizer, "read_photo"),
        clock.clocked("local features", type(localizer.use.feature), "extract"),
        clock.clocked("global descriptor", localize.localizer, "global_vector"),
        clock.clocked("retrieval", localize.localizer, "rank"),
        clock.clocked("index", type(localizer.index.component), "nearest"),
        clock.clocked("frames, merge", type(localizer.use.search), "nearest"),
        clock.clocked("ratio test", type(localizer.use.matching), "match"),
        clock.clocked("first poses", type(localizer.use.pose), "solve"),
        clock.clocked("guided rounds, confidence", type(localizer.use.refinement), "estimate"),
    ]


def seconds_of_steps(localizer: Localizer, town: Scene, num_queries: int) -> list[dict[str, np.ndarray]]:
    """Seconds by step of some queries, evenly spaced, each step's smaller of two runs."""
    root = pathlib.Path(town.query_root or town.image_root)
    found = []
    for query in town.queries.images[:: -(-len(town.queries) // num_queries)]:
        runs = []
        for _ in range(3):
            clock = Clock()
            with contextlib.ExitStack() as patches:
                for patch in clocked_steps(clock, localizer):
                    patches.enter_context(patch)
                with clock.step(OTHER):
                    localizer.localize(root / query.name, query.camera)
            runs.append(clock.seconds)
        found.append({step: np.min([run[step] for run in runs[1:]], axis=0) for step in runs[0]})
    return found


def table(found: list[dict[str, np.ndarray]]) -> str:
    """Median milliseconds of every step, by the wall and by the processor, and its share."""
    names = dict.fromkeys(step for query in found for step in query)
    steps = [*EXTRACTION, *(s for s in names if s not in (*EXTRACTION, OTHER)), OTHER]
    median = {s: 1000 * np.median([f.get(s, np.zeros(2)) for f in found], axis=0) for s in steps}
    total = sum(median.values())
    rows = [*median.items(), ("**total**", total)]
    lines = [f"| {name} | {ms[0]:.1f} | {ms[1]:.1f} | {100 * ms[1] / total[1]:.1f} % |" for name, ms in rows]
    return "\n".join(["| step | ms | CPU ms | share |", "| --- | --: | --: | --: |", *lines])


def main() -> None:
    """Build a map of each scene, and ask for some of its queries."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scenes", nargs="+")
    arguments.add_argument("--feature", choices=FEATURES, default="dense_crbnet")
    arguments.add_argument("--weights", help="of the feature, if others than its default")
    arguments.add_argument("--max-keypoints", type=int, default=2048)
    arguments.add_argument("--queries", type=int, default=12, help="so many at most, evenly spaced")
    arguments.add_argument("--cores", type=int, help="that this process may use; all")
    arguments.add_argument("--store", default="outputs/store")
    given = arguments.parse_args()
    settings = {"max_keypoints": given.max_keypoints} | ({"weights": given.weights} if given.weights else {})
    if given.cores:
        restrict(given.cores)
    for name in given.scenes:
        town = scene(name)
        with tempfile.TemporaryDirectory() as folder:
            how = {"store": Store(given.store), "feature": FEATURES[given.feature](**settings), "progress": True}
            localizer = build_map(town, pathlib.Path(folder) / "map", **how)
            camera = town.queries.images[0].camera
            size = f"{camera.width} x {camera.height} px, at most {given.max_keypoints} keypoints"
            in_map = f"{len(localizer.rows.points)} points from {len(town.references)} photos"
            found = seconds_of_steps(localizer, town, given.queries)
        print(f"\n{town.name}, {given.feature}: {len(found)} queries, {size}; {in_map}\n\n{table(found)}", flush=True)


def restrict(cores: int) -> None:
    """Let this process use so many cores, and its libraries as many threads."""
    import threadpoolctl
    import torch

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    torch.set_num_threads(cores)
    threadpoolctl.threadpool_limits(cores)


if __name__ == "__main__":
    main()
