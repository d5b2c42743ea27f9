"""Seconds and memory of ranking and scoring Revisited Oxford's queries among generated vectors, as many as distractors.

    python benchmarks/distractors.py gnd_roxford5k.pkl [photos] [values]      (1,005,000 and 1,024 if not said)

Each vector is noise; that of a query's easy or hard photo has a share of the query in it. The vectors come one after
the other, as from the store, and lie in float16 where the evaluation keeps them.
"""

import pathlib
import sys
import time

import numpy as np

from localize.evaluate.revisited import score_rankings
from localize.io.benchmarks.revisited import read_graded_photos
from localize.retrieval.exact import ExactRanking
from localize.retrieval.ranking import rank
from localize.stages.descriptors import _stacked
from localize.stages.memory import peak_memory_mb, reset_peak_memory
from localize.types import Camera, Image, ImageList

SHARES = {"easy": 0.35, "hard": 0.15}
BLOCK = 4096


def rows(queries, asked: np.ndarray, num_photos: int):
    """The photos' vectors (D,), one after the other."""
    shown = {int(p): (q, s) for q, query in enumerate(queries) for g, s in SHARES.items() for p in getattr(query, g)}
    rng, scale = np.random.default_rng(1), np.sqrt(asked.shape[1])
    for at in range(0, num_photos, BLOCK):
        for i, noise in enumerate(rng.standard_normal((min(BLOCK, num_photos - at), asked.shape[1]), np.float32), at):
            vector = noise + shown[i][1] * scale * asked[shown[i][0]] if i in shown else noise
            yield vector / np.linalg.norm(vector)


def main(path: str, num_photos: int = 1_005_000, dim: int = 1024) -> None:
    """Print seconds, and the most memory since the vectors were there."""
    queries = read_graded_photos(pathlib.Path(path)).queries
    asked = np.random.default_rng(0).standard_normal((len(queries), dim), np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    vectors = _stacked(rows(queries, asked, num_photos), num_photos, "float16")
    camera = Camera("SIMPLE_PINHOLE", 1, 1, [1.0, 0.5, 0.5])
    photos = ImageList(Image(f"revisitop1m/jpg/{i // 1000:04d}/{i:08d}.jpg", camera) for i in range(num_photos))
    names = ImageList(Image(query.name, camera) for query in queries)
    print(f"{num_photos} photos of {dim} values in {type(vectors).__name__}: {vectors.nbytes / 1e9:.2f} GB")
    reset_peak_memory()
    start = time.perf_counter()
    found = rank(names, asked, photos, vectors, num_photos, ExactRanking(vectors_dtype="float16"))
    print(f"all ranked in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    scores = score_rankings(list(found.ranked), queries, (1, 5, 10))
    print(f"scored in {time.perf_counter() - start:.1f} s; most memory {peak_memory_mb() / 1024:.2f} GB")
    print(", ".join(f"{setup} mAP {100 * score.mean_average_precision:.1f}" for setup, score in scores.items()))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
