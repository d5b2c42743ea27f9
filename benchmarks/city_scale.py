"""From matches to answered queries at a city's size: seconds, memory and disk of each stage, in a process of its own.

    python benchmarks/city_scale.py robotcar --folder /tmp/scale [--results results.jsonl] [--literal]

Sizes: small, medium, aachen (4,328 references, 1.65 million points) and robotcar (20,862 and 6.77 million). There are
no photos. Cameras stand a metre apart along a street and look at its facade, 8 to 15 m away, on which the points are
spread. A point is in the picture of some 25 cameras and found in each by chance, so often that there are as many
observations as wanted; keypoints are projections with 0.7 px of noise, and one in seven is no point. References are
matched with the 20 nearest ones: half of the points that both found, and one false match in ten. Descriptors have 256
values: a point's are Gaussian with the decaying spectrum of evaluate/search/descriptor_model.py, and those of an
observation have as much noise added that two of one point have a cosine of 0.8 to 0.95.

Keypoints, matches and descriptors are drawn anew wherever a stage of the product asks for them, in place of being read
from the store, so `draw` says what that costs; all else is the product's own code and lies in its store. Pair matching
is measured on a few pairs. Memory is the process's own pages (RssAnon) at most; pages of mapped files, which the system
takes back when it needs them, are in the other number (VmHWM).
"""

import argparse
import functools
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import numpy as np

from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.io.records import load_record
from localize.mapping.observed import reprojection
from localize.mapping.still import still_points
from localize.mapping.triangulation import Triangulation
from localize.matching.mutual import MutualNearest
from localize.stages.index import build_index
from localize.stages.mapping import collect_rows, triangulate
from localize.stages.photos import Photos
from localize.stages.workbench import Workbench
from localize.store import Store
from localize.types import Camera, Features, Image, ImageList, PairMatches, Pose

SIZES = {  # references, points, observations
    "small": (200, 65_000, 500_000),
    "medium": (1_000, 325_000, 2_500_000),
    "aachen": (4_328, 1_650_000, 10_000_000),
    "robotcar": (20_862, 6_770_000, 52_000_000),
}
STAGES = ("draw", "match", "triangulate", "check", "rows", "index", "search")
DIM, FOCAL, SIZE, NOISE_PX, NEIGHBOURS, FALSE = 256, 400.0, 1024, 0.7, 20, 0.1
SPECTRUM = (1 + np.arange(DIM) / 16) ** -0.75
CAMERA = Camera("SIMPLE_PINHOLE", SIZE, SIZE, [FOCAL, SIZE / 2, SIZE / 2])
REACH_M = 15 * SIZE / 2 / FOCAL


class City:
    """The scene of one size; the same whatever is asked of it first."""

    def __init__(self, size: str):
        self.num_images, self.num_points, self.num_observations = SIZES[size]
        rng = np.random.default_rng(0)
        along = np.sort(rng.uniform(0, self.num_images, self.num_points))
        self.points = np.column_stack([along, rng.uniform(-7, 7, len(along)), rng.uniform(8, 15, len(along))])
        self.noise = rng.uniform(0.05, 0.25, len(along)).astype(np.float32)  # power of an observation's, of 1
        poses = [self._pose(i, rng) for i in range(self.num_images)]
        self.images = ImageList(Image(f"{i:05}.jpg", CAMERA, pose) for i, pose in enumerate(poses))
        self.number = {name: i for i, name in enumerate(self.images.names)}
        shown = 2 * 11.5 * SIZE / 2 / FOCAL * self.num_points / self.num_images  # points in a picture
        self.found = self.num_observations / self.num_images / shown
        self.pairs = [(i, i + k) for i in range(self.num_images) for k in range(1, NEIGHBOURS // 2 + 1)]
        self.pairs = [(a, b) for a, b in self.pairs if b < self.num_images]

    @staticmethod
    def _pose(i: int, rng) -> Pose:
        turned = rng.normal(0, 0.03)
        rotation = np.array([[np.cos(turned), 0, -np.sin(turned)], [0, 1, 0], [np.sin(turned), 0, np.cos(turned)]])
        return Pose(rotation, -rotation @ (i + 0.5, rng.normal(0, 0.3), rng.normal(0, 0.5)))

    @functools.lru_cache(maxsize=64)  # noqa: B019  the pairs of an image follow one another
    def keypoints(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (N, 2) px and the point of each, -1: none."""
        rng, pose = np.random.default_rng([1, i]), self.images.images[i].pose
        ids = np.arange(*np.searchsorted(self.points[:, 0], [i + 0.5 - REACH_M, i + 0.5 + REACH_M]))
        ids = ids[rng.random(len(ids)) < self.found]
        seen = self.points[ids] @ pose.rotation.T + pose.translation
        xy = FOCAL * seen[:, :2] / seen[:, 2:] + SIZE / 2 + rng.normal(0, NOISE_PX, (len(ids), 2))
        inside = ((xy > 0) & (xy < SIZE)).all(1)
        other = rng.uniform(0, SIZE, (inside.sum() // 6, 2))
        order = rng.permutation(inside.sum() + len(other))
        point = np.concatenate([ids[inside], np.full(len(other), -1)])
        return np.concatenate([xy[inside], other])[order].astype(np.float32), point[order]

    def descriptors(self, i: int, noise: float = 1.0) -> np.ndarray:
        """(N, 256) float16; noise: times the power that the map's observations have."""
        point, rng = self.keypoints(i)[1], np.random.default_rng([2, i])
        base = np.empty((len(point), DIM), np.float32)
        for row, number in enumerate(point):
            seed = np.random.Philox(key=int(number) if number >= 0 else (1 << 40) + (i << 16) + row)
            base[row] = np.random.Generator(seed).standard_normal(DIM, np.float32)
        power = noise * np.where(point >= 0, self.noise[point], 1)
        found = (base + np.sqrt(power)[:, None] * rng.standard_normal(base.shape, np.float32)) * SPECTRUM
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)

    def matches(self, a: int, b: int) -> PairMatches:
        """Half of the points that both found, and some that are false."""
        first, second, rng = self.keypoints(a)[1], self.keypoints(b)[1], np.random.default_rng([3, a, b])
        _, rows, columns = np.intersect1d(first, second, return_indices=True)
        kept = (rng.random(len(rows)) < 0.5) & (first[rows] >= 0)
        false = np.column_stack([rng.permutation(len(p))[: int(FALSE * kept.sum())] for p in (first, second)])
        found = np.concatenate([np.column_stack([rows[kept], columns[kept]]), false])
        found = found[np.unique(found[:, 0], return_index=True)[1]]
        return PairMatches(found[np.sort(np.unique(found[:, 1], return_index=True)[1])])


class Drawn:
    """What a stage reads from a shelf, drawn when it is asked for."""

    def __init__(self, kind: str, names, draw):
        self.key, self.item_keys, self._draw = kind, {name: str(name) for name in names}, draw

    def __getitem__(self, name):
        return self._draw(name)


class DrawnFeatures:
    """Features whose descriptors are drawn only if they are read."""

    def __init__(self, city: City, i: int):
        self._city, self._i = city, i

    @property
    def keypoints(self) -> np.ndarray:
        return self._city.keypoints(self._i)[0]

    @property
    def descriptors(self) -> np.ndarray:
        return self._city.descriptors(self._i)


class Run:
    """The stages of one size, each of which reads what the ones before it left in the store."""

    def __init__(self, size: str, folder: pathlib.Path, literal: bool):
        self.city, self.bench = City(size), Workbench(Store(folder))
        self.index = LiteralTrees() if literal else RandomTrees()
        names = self.city.images.names
        features = Drawn("features", names, lambda name: DrawnFeatures(self.city, self.city.number[name]))
        self.photos = Photos("reference", self.city.images, {}, {}, features)

    def draw(self) -> dict:
        """What drawing keypoints, matches and descriptors costs, which is in the stages that ask for them."""
        start = time.process_time()
        chosen = np.linspace(0, self.city.num_images - 12, 20).astype(int)
        for i in chosen:
            self.city.matches(i, i + 3)
        middle = time.process_time()
        for i in chosen:
            self.city.descriptors(i)
        matches_s, descriptors_s = (middle - start) / 20, (time.process_time() - middle) / 20
        return {"CPU s per pair's matches": matches_s, "CPU s per image's descriptors": descriptors_s}

    def match(self) -> dict:
        """The product's pair matching, of a few pairs."""
        pairs = [self.city.pairs[k] for k in np.linspace(0, len(self.city.pairs) - 1, 8).astype(int)]
        features = {i: self._features(i) for pair in pairs for i in pair}
        MutualNearest().match(*(features[i] for i in pairs[0]))
        start, cpu = time.perf_counter(), time.process_time()
        number = [len(MutualNearest().match(features[a], features[b]).rows) for a, b in pairs]
        seconds, cpu = (time.perf_counter() - start) / len(pairs), (time.process_time() - cpu) / len(pairs)
        return {"s per pair": seconds, "CPU s per pair": cpu, "matches per pair": float(np.mean(number))}

    def _features(self, i: int, noise: float = 1.0) -> Features:
        xy = self.city.keypoints(i)[0]
        return Features(xy, self.city.descriptors(i, noise).astype(np.float32), np.ones(len(xy)))

    def triangulate(self) -> dict:
        """The map; drawing the matches is in it."""
        names = self.city.images.names
        pairs = [(names[a], names[b]) for a, b in self.city.pairs]
        matches = Drawn("matches", pairs, lambda pair: self.city.matches(*(self.city.number[n] for n in pair)))
        points, _ = triangulate(self.bench, Triangulation(), self.photos, matches)
        return {"pairs": len(pairs), "points": len(points.points), "observations": len(points.image)}

    @property
    def _map(self):
        return load_record(next(p for p in (self.bench.store.root / "map").iterdir() if p.is_dir()))

    def check(self) -> dict:
        """What of the map is compared with all keypoints: how far it is from them, and what stands still."""
        of = Drawn("", [], lambda name: self.photos.features[name].keypoints)
        still = still_points(self._map, of)
        return {"median px": reprojection(self._map, of.__getitem__).median_px, "still points": int(still.sum())}

    def _rows(self):
        return collect_rows(self.bench, self._map, "map", self.photos.features)

    def rows(self) -> dict:
        """The descriptors of all observations."""
        return {"rows": len(self._rows().rows.point)}

    def build(self):
        """The index over the rows."""
        return build_index(self.bench, self.index, self._rows())

    def search(self) -> dict:
        """2,000 keypoints of a query with four times the noise, after one that warms up."""
        rows, built, seconds, right = self._rows().rows, self.build(), [], []
        for i in np.linspace(20, self.city.num_images - 20, 8).astype(int):
            asked = np.flatnonzero(self.city.keypoints(i)[1] >= 0)[:2000]
            descriptors = self.city.descriptors(i, 4.0)[asked].astype(np.float32)
            start = time.perf_counter()
            found = built.nearest(rows, descriptors)
            seconds.append(time.perf_counter() - start)
            apart = rows.points[np.maximum(found.point, 0)] - self.city.points[self.city.keypoints(i)[1][asked]]
            right.append(float((np.linalg.norm(apart, axis=1) < 0.5).mean()))
        return {"first s": seconds[0], "s per query": float(np.median(seconds[1:])), "right": float(np.mean(right))}


class AnonymousMemory:
    """The most that the process's own pages took while inside, MB."""

    def __enter__(self):
        self.peak, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, of_status("RssAnon"))

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def of_status(field: str) -> float:
    """A field of /proc/self/status, MB."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith(field))


def disk_mb(folder: pathlib.Path) -> float:
    """What the files in a folder take."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def one_stage(size: str, stage: str, folder: pathlib.Path, literal: bool) -> dict:
    """What a stage did, and what it cost."""
    run = Run(size, folder, literal)
    what = {"index": lambda: run.build() and {}}.get(stage) or getattr(run, stage)
    before, start, cpu = disk_mb(folder), time.perf_counter(), time.process_time()
    with AnonymousMemory() as memory:
        figures = what()
    costs = {"seconds": time.perf_counter() - start, "CPU s": time.process_time() - cpu, "own MB": memory.peak}
    costs |= {"peak RSS MB": of_status("VmHWM"), "disk MB": disk_mb(folder) - before}
    return {"size": size, "stage": stage, "index": type(run.index).__name__, **costs, **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", nargs="+", choices=SIZES)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("city_scale.jsonl"))
    parser.add_argument("--literal", action="store_true", help="literal trees in place of random trees")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--keep", action="store_true", help="leave the store where it is")
    parser.add_argument("--here", action="store_true", help="one stage, in this process")
    args = parser.parse_args()
    for size in args.sizes:
        folder = args.folder / size
        folder.mkdir(parents=True, exist_ok=True)
        for stage in args.stages:
            if args.here:
                line = json.dumps(one_stage(size, stage, folder, args.literal))
                with open(args.results, "a") as f:
                    f.write(line + "\n")
                print(line, flush=True)
                continue
            command = [sys.executable, __file__, size, "--folder", str(args.folder), "--results", str(args.results)]
            more = ["--literal"] if args.literal else []
            subprocess.run([*command, "--here", "--stages", stage, *more], check=True)
        if not args.keep and not args.here:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
