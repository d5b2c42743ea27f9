"""One query's descriptors against the rows of its retrieved frames, in float32, bfloat16 and int8, as a Markdown table.

    python benchmarks/frames.py [--keypoints 2000] [--frames 20] [--per-frame 2000] [--threads 1 2]

Descriptors are drawn from a model (evaluate/search/descriptor_model.py). Half of the queries show points that the
frames see, half others; half of each are easy, half hard. "same" is the share of queries whose best point and whose
verdict by the ratio test are those of the first row. Medians of several runs that take turns; memory is what the
process needed above what it held before.
"""

import argparse
import ctypes
import dataclasses
import statistics
import time

import numpy as np
import threadpoolctl
import torch

from localize.evaluate.search.descriptor_model import DescriptorModel
from localize.kernels import scan
from localize.kernels.nearest import best_two_points_dense
from localize.kernels.rows import as_stored
from localize.stages.memory import peak_memory_mb, reset_peak_memory

RATIO = 0.9


@dataclasses.dataclass(frozen=True)
class Query:
    """Query descriptors (Q, D) float32, the map's descriptors (M, D) float16, the frames' rows and their points."""

    descriptors: np.ndarray
    stored: np.ndarray
    rows: np.ndarray
    point: np.ndarray


def made_query(num_keypoints: int, num_frames: int, per_frame: int) -> Query:
    """A map of twice the points that the frames see."""
    num_rows = num_frames * per_frame
    model = DescriptorModel(num_points=num_rows // 2)
    chunks = list(model.chunks())
    stored = np.concatenate([c.descriptors for c in chunks]).astype(np.float16)
    point = np.concatenate([c.point for c in chunks])
    rows = np.flatnonzero(point < model.num_points // 2)[:num_rows].astype(np.int32)
    both = [model.queries(num_keypoints // 2, hard)[0] for hard in (False, True)]
    return Query(np.concatenate(both), stored, rows, point[rows])


def whole_product(q: Query):
    """Plain numpy: all the rows in float32, 512 queries at a time, each a line of similarities."""
    best, second = np.full((2, len(q.descriptors)), -np.inf, np.float32)
    point = np.full(len(q.descriptors), -1, np.int32)
    theirs = q.stored[q.rows].astype(np.float32)
    for at in range(0, len(best), 512):
        part = slice(at, at + 512)
        best_two_points_dense(q.descriptors[part] @ theirs.T, q.point, best[part], point[part], second[part])
    return best, point, second


def blocked_float32(q: Query):
    return scan.scan_float32(q.descriptors, *as_stored(q.stored), q.rows, q.point)


def blocked_bfloat16(q: Query):
    """Torch gives the sums in bfloat16 too, with 8 bits."""
    best, second = np.full((2, len(q.descriptors)), -np.inf, np.float32)
    point = np.full(len(q.descriptors), -1, np.int32)
    ours = torch.from_numpy(q.descriptors).bfloat16()
    theirs = torch.from_numpy(q.stored[q.rows]).bfloat16()
    for at in range(0, len(theirs), scan.ROWS):
        product = torch.mm(ours, theirs[at : at + scan.ROWS].T).float().numpy()
        best_two_points_dense(product, q.point[at : at + scan.ROWS], best, point, second)
    return best, point, second


def blocked_int8(q: Query):
    return scan.scan_int8(q.descriptors, *as_stored(q.stored), q.rows, q.point)


def int8_alone(q: Query):
    """The best two by int8, not compared again."""
    values, scale = scan.quantised(*as_stored(q.stored), q.rows)
    ours, our_scale = scan.quantised(q.descriptors, False, np.arange(len(q.descriptors)))
    column = scan.best_columns(q.descriptors, values, scale, q.point)[:, :2]
    sums = np.einsum("qd,qkd->qk", ours.astype(np.float32), values[column].astype(np.float32))
    similarity = sums * our_scale[:, None] * scale[column]
    return similarity[:, 0], q.point[column[:, 0]], similarity[:, 1]


WAYS = {
    "float32, whole lines": whole_product,
    "float32, blocked": blocked_float32,
    "bfloat16, blocked": blocked_bfloat16,
    "int8, blocked, best two": int8_alone,
    f"int8, blocked, best {scan.KEPT} compared again": blocked_int8,
}


def decided(found) -> np.ndarray:
    """Point of each query, -1 where the ratio test refuses it."""
    best, point, second = found
    d1, d2 = (np.sqrt(np.maximum(0, 2 - 2 * s)) for s in (best, second))
    return np.where(d1 < RATIO * d2, point, -1)


def memory_mb(way, query: Query) -> float:
    way(query)
    ctypes.CDLL(None).malloc_trim(0)  # what is freed is given back, so that it is counted again
    reset_peak_memory()
    before = peak_memory_mb()
    way(query)
    return peak_memory_mb() - before


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keypoints", type=int, default=2000)
    arguments.add_argument("--frames", type=int, default=20)
    arguments.add_argument("--per-frame", type=int, default=2000)
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--repeat", type=int, default=7)
    given = arguments.parse_args()
    query = made_query(given.keypoints, given.frames, given.per_frame)
    exact = whole_product(query)
    taken = (decided(exact) >= 0).mean()
    print(f"{given.keypoints} keypoints, {len(query.rows)} rows; the ratio test takes {100 * taken:.0f} %\n")
    times = {(name, n): [] for name in WAYS for n in given.threads}
    for _ in range(given.repeat):
        for (name, n), seconds in times.items():
            torch.set_num_threads(n)
            with threadpoolctl.threadpool_limits(n):
                start = time.perf_counter()
                WAYS[name](query)
                seconds.append(time.perf_counter() - start)
    heads = ["way", *(f"ms, threads: {n}" for n in given.threads), "same point %", "same verdict %", "MB"]
    print("| " + " | ".join(heads) + " |")
    print("| --- |" + " --- |" * (len(given.threads) + 3))
    for name, way in WAYS.items():
        found = way(query)
        shares = (found[1] == exact[1]).mean(), (decided(found) == decided(exact)).mean()
        ms = " | ".join(f"{1000 * statistics.median(times[name, n]):.0f}" for n in given.threads)
        print(f"| {name} | {ms} | {100 * shares[0]:.2f} | {100 * shares[1]:.2f} | {memory_mb(way, query):.0f} |")


if __name__ == "__main__":
    main()
