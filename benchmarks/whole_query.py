"""Where the milliseconds of one query go, from the photo's file to the pose, as a Markdown table per scene.

    python benchmarks/whole_query.py Herz-Jesu-P25 minitown [--max-keypoints 2000] [--first-octave -1] [--store FOLDER]

Localizer.localize is called for one query after the other, on all cores, as a user does; its steps are clocked inside.
A query runs once for the compilers, then twice; a step's figure is the median over the queries of its smaller time.
"""

import argparse
import contextlib
import pathlib
import time
from collections import defaultdict
from unittest import mock

import numpy as np
from scenes import scene

import localize.features.sift_crbnet
import localize.localizer
import localize.networks.inference
from localize import Localizer, Scene, Store
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.pipelines import build_map

EXTRACTION = ("read the photo", "detect (SIFT)", "cut patches", "network", "rest of extraction")
OTHER = "rest (conversions, checks)"


class Clock:
    """Seconds by step; what a step spends inside another one counts for that one only."""

    def __init__(self):
        self.seconds, self._inner = defaultdict(float), []

    @contextlib.contextmanager
    def step(self, name: str):
        """Clock one step."""
        self._inner.append(0.0)
        start = time.perf_counter()
        yield
        taken = time.perf_counter() - start
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


def clocked_steps(clock: Clock, localizer: Localizer) -> list:
    """Patches of all that Localizer.localize calls."""
    return [
        clock.clocked("read the photo", localize.localizer, "read_photo"),
        clock.clocked("rest of extraction", type(localizer.use.feature), "extract"),
        clock.clocked("detect (SIFT)", Sift, "extract"),
        clock.clocked("cut patches", localize.features.sift_crbnet, "extract_patches"),
        clock.clocked("network", localize.networks.inference, "describe"),
        clock.clocked("global descriptor", localize.localizer, "global_vector"),
        clock.clocked("retrieval", localize.localizer, "rank"),
        clock.clocked("index", type(localizer.index.component), "nearest"),
        clock.clocked("frames, merge", type(localizer.use.search), "nearest"),
        clock.clocked("ratio test", type(localizer.use.matching), "match"),
        clock.clocked("pose", type(localizer.use.pose), "estimate"),
    ]


def seconds_of_steps(localizer: Localizer, town: Scene, num_queries: int) -> list[dict[str, float]]:
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
        found.append({step: min(run[step] for run in runs[1:]) for step in runs[0]})
    return found


def table(found: list[dict[str, float]]) -> str:
    """Median milliseconds of every step, and its share."""
    steps = [*EXTRACTION, *(s for s in found[0] if s not in (*EXTRACTION, OTHER)), OTHER]
    median = {s: 1000 * np.median([f[s] for f in found]) for s in steps}
    total = sum(median.values())
    after = total - sum(median[s] for s in EXTRACTION)
    rows = [*median.items(), ("**everything after extraction**", after), ("**total**", total)]
    lines = [f"| {name} | {ms:.1f} | {100 * ms / total:.1f} % |" for name, ms in rows]
    return "\n".join(["| step | ms | share |", "| --- | --: | --: |", *lines])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("scenes", nargs="+")
    arguments.add_argument("--max-keypoints", type=int, default=2000)
    arguments.add_argument("--first-octave", type=int, default=SiftCrbnet.first_octave)
    arguments.add_argument("--queries", type=int, default=12, help="so many at most, evenly spaced")
    arguments.add_argument("--store", default="outputs/store")
    given = arguments.parse_args()
    for name in given.scenes:
        town = scene(name)
        feature = SiftCrbnet(max_keypoints=given.max_keypoints, first_octave=given.first_octave)
        localizer = build_map.run(town, Store(given.store), feature=feature, progress=True)
        camera = town.queries.images[0].camera
        size = f"{camera.width} x {camera.height} px, at most {given.max_keypoints} keypoints"
        in_map = f"{len(localizer.rows.points)} points from {len(town.references)} photos"
        found = seconds_of_steps(localizer, town, given.queries)
        print(f"\n{town.name}: {len(found)} queries, {size}; {in_map}\n\n{table(found)}", flush=True)


if __name__ == "__main__":
    main()
