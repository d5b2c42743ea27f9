"""Memory and time of the search among many global descriptors: exact in blocks, inverted lists, IVF-PQ, HNSW.

    python benchmarks/retrieval.py --number 50000
    python benchmarks/retrieval.py --number 1000000 --rankings exact faiss_pq

Descriptors are drawn (kinds of places, places, photos) and written once to FOLDER as float16. Each ranking is built
from that file, kept in a store in FOLDER and searched from there, in a process of its own, so that its peak memory is
its own: anonymous memory (what the machine must have) beside all of it (which counts the file pages that the kernel
keeps as long as nobody else wants them).
"""

import argparse
import json
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np

from localize.retrieval.exact import ExactRanking
from localize.retrieval.faiss_vectors import FaissHnswRanking, FaissIvfRanking, FaissPqRanking
from localize.store import Store

BLOCK = 4096
RANKINGS = {
    "exact": ExactRanking(),
    "faiss_ivf": FaissIvfRanking(code="sq8", iterations=4),
    "faiss_pq": FaissPqRanking(iterations=4, num_lists=256, num_probes=16),
    "faiss_hnsw": FaissHnswRanking(code="sq8"),
}
NUM_FOUND = 20
PHOTOS = 20  # of a place


class Memory:
    """The highest anonymous and whole resident memory of this process so far, MB; looked at 20 times a second."""

    def __init__(self):
        self.anonymous = self.whole = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while True:
            self.look()
            time.sleep(0.05)

    def look(self):
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        size = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Rss")}
        size["VmRSS"] = sum(size.values())
        self.anonymous = max(self.anonymous, size["RssAnon"])
        self.whole = max(self.whole, size["VmRSS"])


def draw(number: int, dim: int, clusters: int, noise: float):
    """Blocks (B, dim) float16 of unit vectors: kinds of places, of each many places, of each 20 photos in a row."""
    centers = np.random.default_rng(0).standard_normal((clusters, dim), np.float32)
    for at in range(0, number, BLOCK):
        rng = np.random.default_rng([1, at])
        count = min(BLOCK, number - at)
        num_places = -(-count // PHOTOS)
        places = centers[rng.integers(clusters, size=num_places)]
        places = places + rng.standard_normal((num_places, dim), np.float32)
        block = np.repeat(places, PHOTOS, axis=0)[:count] + noise * rng.standard_normal((count, dim), np.float32)
        yield (block / np.linalg.norm(block, axis=1, keepdims=True)).astype(np.float16)


def prepare(folder: pathlib.Path, given) -> None:
    """vectors.npy and queries.npy; a query is a reference with noise of its own, so that it has true neighbours."""
    path = folder / "vectors.npy"
    if path.is_file() and np.load(path, mmap_mode="r").shape == (given.number, given.dim):
        return
    vectors = np.lib.format.open_memmap(path, "w+", np.float16, (given.number, given.dim))
    at = 0
    for block in draw(given.number, given.dim, given.clusters, given.noise):
        vectors[at : at + len(block)] = block
        at += len(block)
    rng = np.random.default_rng(2)
    rows = np.sort(rng.choice(given.number, given.queries, replace=False))
    asked = vectors[rows].astype(np.float32)
    asked += 0.7 / given.dim**0.5 * rng.standard_normal(asked.shape, np.float32)
    np.save(folder / "queries.npy", asked / np.linalg.norm(asked, axis=1, keepdims=True))
    vectors.flush()


def measure(folder: pathlib.Path, name: str) -> dict:
    """Build, open, search one by one; in a process of its own."""
    memory, ranking = Memory(), RANKINGS[name]
    vectors, asked = np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "queries.npy")
    row = {"ranking": name}
    start = time.perf_counter()
    built, size = None, 0
    if hasattr(ranking, "build"):
        built, _, _ = Store(folder / "store").artifact("ranking_index", {"name": name}, lambda: ranking.build(vectors))
        size = built.data.nbytes
    row |= {"build_s": time.perf_counter() - start, "index_mb": size / 1e6}
    memory.look()
    row |= {"build_anonymous_mb": memory.anonymous, "build_resident_mb": memory.whole}
    found = []
    start = time.perf_counter()
    if name == "exact":  # all at once, as a pipeline does: the vectors are read once
        found = ranking.search(built, vectors, asked, NUM_FOUND)[1]
    else:
        for q in asked:
            found.append(ranking.search(built, vectors, q[None], NUM_FOUND)[1][0])
    row["ms_per_query"] = 1000 * (time.perf_counter() - start) / len(asked)
    memory.look()
    row |= {"anonymous_mb": memory.anonymous, "resident_mb": memory.whole, "found": np.asarray(found).tolist()}
    return row


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--number", type=int, default=50_000)
    arguments.add_argument("--dim", type=int, default=4096)
    arguments.add_argument("--clusters", type=int, default=2000)
    arguments.add_argument(
        "--noise", type=float, default=1.0, help="of a photo, where a place differs by 1 from its kind"
    )
    arguments.add_argument("--queries", type=int, default=100)
    arguments.add_argument("--rankings", nargs="+", choices=RANKINGS, default=["exact", "faiss_ivf", "faiss_pq"])
    arguments.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("outputs/retrieval_benchmark"))
    arguments.add_argument("--one", choices=RANKINGS, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(measure(given.folder, given.one)))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    prepare(given.folder, given)
    print(
        f"{given.number} x {given.dim} in float16: {given.number * given.dim * 2 / 1e9:.2f} GB on the disk", flush=True
    )
    exact = None
    for name in ["exact", *(n for n in given.rankings if n != "exact")]:
        command = [sys.executable, __file__, "--one", name, "--folder", str(given.folder)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        found = row.pop("found")
        exact = exact or found
        row["recall_at_20"] = float(
            np.mean([len(set(a) & set(b)) / NUM_FOUND for a, b in zip(found, exact, strict=True)])
        )
        row["nearest_found"] = float(np.mean([a[0] in b for a, b in zip(exact, found, strict=True)]))
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
