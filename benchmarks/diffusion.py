"""Time and memory of diffusion over many references: its graph, and a query truncated and not.

    python benchmarks/diffusion.py --number 5000
    python benchmarks/diffusion.py --number 100000

Descriptors are drawn as by benchmarks/retrieval.py (kinds of places, places, photos) and memory-mapped. The graph is
built, kept in a store and opened again in one process, queries are asked one by one in another for each setting, all on
one thread, so that each peak memory is its own: anonymous (what the machine must have) beside all of it (with file
pages). Seconds are of the processor. A query's are beside those of the exact ranking that it starts from; right is the
share of its place's photos that are among as many first ones.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import threadpoolctl
from retrieval import PHOTOS, Memory, draw

from localize.retrieval.exact import ExactRanking
from localize.retrieval.ranking import rank
from localize.retrieval.reranking.diffusion import Diffusion
from localize.stages import Workbench
from localize.stages.ranking import build_ranking
from localize.store import Store
from localize.types import Camera, Image, ImageList

STEPS = {
    "graph": Diffusion(),
    "truncated": Diffusion(),
    "whole": Diffusion(truncation=None),
}
CAMERA = Camera("SIMPLE_PINHOLE", 64, 48, np.array([50.0, 32.0, 24.0]))


def prepare(folder: pathlib.Path, given) -> None:
    """vectors.npy, queries.npy, and in rows.npy the reference that each query is a noisy copy of."""
    path = folder / "vectors.npy"
    if path.is_file():
        found = np.load(path, mmap_mode="r")
        if found.shape == (given.number, given.dim) and found.dtype == given.dtype:
            return
    vectors = np.lib.format.open_memmap(path, "w+", given.dtype, (given.number, given.dim))
    at = 0
    for block in draw(given.number, given.dim, max(1, given.number // 500), given.noise):
        vectors[at : at + len(block)] = block
        at += len(block)
    rows = np.sort(np.random.default_rng(2).choice(given.number, given.queries, replace=False))
    asked = vectors[rows].astype(np.float32)
    asked += given.noise / given.dim**0.5 * np.random.default_rng(3).standard_normal(asked.shape, np.float32)
    np.save(folder / "queries.npy", asked / np.linalg.norm(asked, axis=1, keepdims=True))
    np.save(folder / "rows.npy", rows)
    vectors.flush()


def measure(folder: pathlib.Path, step: str) -> dict:
    """Build the graph, or open it and ask one query after the other."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    ranking, bench = ExactRanking(rerank=(STEPS[step],)), Workbench(Store(folder / "store"))
    memory, start = Memory(), time.process_time()
    built = build_ranking(bench, ranking, vectors)
    row = {"step": step, "seconds": time.process_time() - start}
    if step == "graph":
        graph = built.rerankers[0]
        edges = np.diff(graph.indptr)
        size = sum(array.nbytes for array in vars(graph).values())
        row |= {"graph_mb": size / 1e6, "neighbours": float(edges.mean()), "isolated": int((edges == 0).sum())}
    else:
        row = {"step": step} | ask(folder, vectors, ranking, built)
    memory.look()
    return row | {"anonymous_mb": memory.anonymous, "resident_mb": memory.whole}


def ask(folder: pathlib.Path, vectors: np.ndarray, ranking: ExactRanking, built) -> dict:
    """Seconds of a query, and the share of its place's photos among as many first ones, without and with diffusion."""
    asked, rows = np.load(folder / "queries.npy"), np.load(folder / "rows.npy")
    references = ImageList(Image(str(i), CAMERA) for i in range(len(vectors)))
    queries = [ImageList((Image(f"q{q}", CAMERA),)) for q in range(len(asked))]
    plain, row = dataclasses.replace(ranking, rerank=()), {}
    for name, by in (("exact", plain), ("with_diffusion", ranking)):
        times, right = [], []
        for query, vector, own in zip(queries, asked, rows, strict=True):
            start = time.process_time()
            args = query, vector[None], references, vectors, 100, by
            found = rank(*args, prepared=built.rerankers).ranked[0]
            times.append(time.process_time() - start)
            # draw() makes places anew in each of its blocks of 4096
            place = own - own % 4096 % PHOTOS
            right.append(np.isin(np.arange(place, min(place + PHOTOS, own - own % 4096 + 4096)), found[:PHOTOS]).mean())
        row |= {f"{name}_s": float(np.median(times)), f"{name}_right": float(np.mean(right))}
    return row


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--number", type=int, default=5000)
    arguments.add_argument("--dim", type=int, default=512)
    arguments.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    arguments.add_argument(
        "--noise", type=float, default=1.5, help="of a photo, where a place differs by 1 of its kind"
    )
    arguments.add_argument("--queries", type=int, default=50)
    arguments.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("outputs/diffusion_benchmark"))
    arguments.add_argument("--one", choices=STEPS, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    folder = given.folder / f"{given.number}_{given.dim}_{given.dtype}"
    if given.one:
        with threadpoolctl.threadpool_limits(1):
            print(json.dumps(measure(folder, given.one)))
        return
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder, given)
    print(f"{given.number} x {given.dim} in {given.dtype}", flush=True)
    command = [sys.executable, *sys.argv, "--one"]
    for step in STEPS:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        told = subprocess.run([*command, step], check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        row = json.loads(told.splitlines()[-1])
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
