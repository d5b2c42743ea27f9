"""Index and search at a city's size: build, opening, one image of 2,000 features, memory; Markdown table and plot.

    python benchmarks/city.py [100000 200000 500000 1000000 1650000 6770000] [--folder /tmp] [--plot docs/city.png]
                              [--brute] [--max-observations 5]

Descriptors are drawn from the model of evaluate/search/descriptor_model.py into a folder and deleted again. Every
size is built in one fresh process and searched in another one. An image: 2,000 hard queries against the trees and 20
frames of 2,000 rows; the first one after opening (its pages come from the disk's cache; the kernels are compiled and
torch is imported before) and the median of the next.
--brute compares it with blocked float32 products against all means, in the same process. Working memory: the largest
growth of the process's own pages (RssAnon) during the search; memory-mapped pages of the index are counted apart.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from localize.evaluate.search.descriptor_model import DescriptorModel
from localize.evaluate.search.descriptor_sets import read_set, write_model
from localize.index.exact import Exact
from localize.index.random_trees import RandomTrees
from localize.io.records import load_record, save_record
from localize.search.prior import Union, merged

SIZES = (100_000, 200_000, 500_000, 1_000_000, 1_650_000, 6_770_000)
QUERIES, FRAMES, ROWS_PER_FRAME, REPEATS = 2000, 20, 2000, 7


class AnonymousMemory:
    """The largest growth of the process's own pages while inside, MB."""

    def __enter__(self):
        self._stop, self.start = threading.Event(), _anonymous_mb()
        self.peak = self.start
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, _anonymous_mb())

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.mb = self.peak - self.start


def _anonymous_mb() -> float:
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("RssAnon"))


def build(folder: pathlib.Path) -> dict:
    """Build the default index over a set and write it; seconds and memory."""
    rows = read_set(folder / "set").rows
    RandomTrees().build(_small(rows))  # load the kernels
    wall, cpu = time.perf_counter(), time.process_time()
    with AnonymousMemory() as memory:
        built = RandomTrees().build(rows)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    save_record(folder / "index", built)
    return {
        "observations": len(rows.point),
        "build s": seconds,
        "build CPU s": cpu_seconds,
        "build MB": memory.mb,
        "index MB": sum(v.nbytes for v in vars(built).values() if isinstance(v, np.ndarray)) / 1e6,
    }


def search(folder: pathlib.Path, brute: bool) -> dict:
    """Open the index, search images with both sources; seconds and memory."""
    given = read_set(folder / "set")
    rows = given.rows
    queries, truth = given.asked("hard")
    index, union = RandomTrees(), Union(num_frames=FRAMES)
    few, many = _small(rows), np.tile(queries, (5, 1))
    save_record(folder / "small", index.build(few))  # load the kernels, for memory-mapped arrays, and torch
    index.nearest(load_record(folder / "small"), few, many)
    union.nearest(np.arange(2), few, many)
    wall = time.perf_counter()
    built = load_record(folder / "index")
    opened = time.perf_counter() - wall
    frames = np.random.default_rng(0).permutation(len(rows.image_indptr) - 1)[:FRAMES]
    times, leaf_times = [], []
    with AnonymousMemory() as memory:
        for _ in range(REPEATS + 1):
            wall = time.perf_counter()
            leaves = index.nearest(built, rows, queries)
            leaf_times.append(time.perf_counter() - wall)
            found = merged(leaves, union.nearest(frames, rows, queries))
            times.append(time.perf_counter() - wall)
    result = {
        "open ms": 1e3 * opened,
        "first image ms": 1e3 * times[0],
        "image ms": 1e3 * np.median(times[1:]),
        "of it trees ms": 1e3 * np.median(leaf_times[1:]),
        "working MB": memory.mb,
        "mapped MB": _mapped_mb(),
        "recall": float((leaves.point == truth).mean()),
        "recall with frames": float((found.point == truth).mean()),
    }
    if brute:
        exact = Exact(device="cpu", precision="float32")
        whole = exact.build(rows)
        exact.nearest(whole, rows, queries[:64])
        wall = time.perf_counter()
        best = exact.nearest(whole, rows, queries)
        result["brute force ms"] = 1e3 * (time.perf_counter() - wall)
        result["brute force / image"] = result["brute force ms"] / result["image ms"]
        result["exact recall"] = float((best.point == truth).mean())
    return result


def _small(rows):
    """A few rows, to load the kernels."""
    few = np.unique(np.asarray(rows.point[:2000]), return_inverse=True)[1].astype(np.int32)
    return type(rows)(np.zeros((few.max() + 1, 3)), rows.descriptors[:2000], few, np.array([0, 1000, 2000]))


def _mapped_mb() -> float:
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("RssFile"))


def measured(num_points: int, folder: str | None, max_observations: int, brute: bool) -> dict:
    """One size, its build and its search in processes of their own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        model = DescriptorModel(num_points, max_observations=max_observations)
        given = write_model(model, pathlib.Path(place) / "set", QUERIES, progress=True)
        # frames of as many rows as the images of a city
        bounds = np.unique([*range(0, len(given.point), ROWS_PER_FRAME), len(given.point)])
        np.save(pathlib.Path(place) / "set" / "image_indptr.npy", bounds)
        result = {"points": num_points}
        for what in ("build", "search"):
            command = [sys.executable, __file__, f"--{what}-in", place, *(["--brute"] if brute else [])]
            result |= json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
        return result


def plot(results: list[dict], path: str) -> None:
    """Milliseconds per image and memory against the number of points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    points = [r["points"] for r in results]
    left.plot(points, [r["image ms"] for r in results], "o-", label="trees and 20 frames")
    left.plot(points, [r["of it trees ms"] for r in results], "o-", label="trees alone")
    left.set(ylabel="ms per image of 2,000 features", ylim=(0, None))
    right.plot(points, [r["index MB"] for r in results], "o-", label="index")
    right.plot(points, [r["working MB"] for r in results], "o-", label="working memory of a search")
    right.set(ylabel="MB", yscale="log")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="3D points")
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("sizes", nargs="*", type=int, default=SIZES)
    arguments.add_argument("--folder")
    arguments.add_argument("--plot")
    arguments.add_argument("--output", help="a JSON file for the figures")
    arguments.add_argument("--max-observations", type=int, default=5)
    arguments.add_argument("--brute", action="store_true")
    for what in ("build", "search"):
        arguments.add_argument(f"--{what}-in", type=pathlib.Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.build_in or given.search_in:
        print(json.dumps(build(given.build_in) if given.build_in else search(given.search_in, given.brute)))
        return
    results = []
    for size in given.sizes or SIZES:
        results.append(measured(size, given.folder, given.max_observations, given.brute))
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    header = list(results[-1])
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for r in results:
        cells = [r.get(h, "") for h in header]
        print("| " + " | ".join(f"{c:.4g}" if isinstance(c, float) else f"{c:,}" for c in cells) + " |")
    if given.plot:
        plot(results, given.plot)
    if given.output:
        pathlib.Path(given.output).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
