"""The three tasks of the HPatches patch benchmark: verification, matching, retrieval.

Balntas, Lenc, Vedaldi & Mikolajczyk, CVPR 2017; the numbers are those of their Python code, in percent. Where distances
tie, which those of bits do, its order stands: negatives first in verification, the right patches first in retrieval.
"""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.evaluate.patches.descriptors import PatchDescriptor, distance_matrix, pair_distances
from localize.io.benchmarks.hpatches import NOISES, NUM_IMAGES, TYPES, read_sequence, read_task, resampled
from localize.progress import counted

POOLS = (100, 500, 1000, 5000, 10_000, 15_000, 20_000)  # patches among which a query is looked for
WORDS = {"e": "easy", "h": "hard", "t": "tough"}
POSITIVE_SHARE = 5  # the imbalanced task takes one positive pair of five
AT_ONCE = 50_000  # pairs whose descriptors are gathered at once
QUERIES_AT_ONCE = 200


@dataclass(frozen=True, eq=False)
class Sequences:
    """The descriptors of some sequences."""

    counts: dict[str, int]  # patches of each sequence, by name
    values: np.ndarray  # (T, D): sequence after sequence, of each the 16 TYPES one after the other
    distance: str

    def rows(self, sequence: np.ndarray, image: np.ndarray, patch: np.ndarray, noise: str) -> np.ndarray:
        """Rows of `values`; image 0 is the reference, k the k-th image with this noise."""
        counts = np.array(list(self.counts.values()))
        start = (np.cumsum(counts) - counts) * len(TYPES)
        kind = np.where(image == 0, 0, image + NOISES.index(noise) * (NUM_IMAGES - 1))
        return start[sequence] + kind * counts[sequence] + patch


def evaluate_hpatches(found: Sequences, tasks: str, split: str = "a") -> dict[str, float]:
    """Percent by task, such as `matching, easy`, of a split's sequences; tasks: the benchmark's folder of lists."""
    lists = ("verif_pos", "verif_neg_inter", "verif_neg_intra", "retr_queries", "retr_distractors")
    pos, inter, intra, queries, distractors = (read_task(tasks, n, split, found.counts) for n in lists)
    results = verification(found, pos, {"inter": inter, "intra": intra}) | matching(found)
    return results | retrieval(found, queries, distractors)


def describe_sequences(
    descriptor: PatchDescriptor, folder: str, names: Sequence[str], progress: bool = False
) -> Sequences:
    """Describe all patches of the named sequences, one sequence after the other."""
    parts, counts = [], {}
    for name in counted(names, "HPatches", shown=progress):
        patches = read_sequence(pathlib.Path(folder) / name)
        counts[name] = patches.shape[1]
        parts += [descriptor.describe(resampled(of_type)) for of_type in patches]
    return Sequences(counts, np.concatenate(parts), descriptor.distance)


def verification(found: Sequences, positives: np.ndarray, negatives: dict[str, np.ndarray]) -> dict[str, float]:
    """Do two patches show the same? Area under the ROC (balanced), average precision (all negatives, 1/5 positives)."""
    results = {}
    for noise in NOISES:
        same = _distances(found, positives, noise)
        few = same[: int(len(same) / POSITIVE_SHARE)]
        for name, pairs in negatives.items():
            others = _distances(found, pairs, noise)
            results[f"verification, balanced, {name}, {WORDS[noise]}"] = 100 * _roc_area(others, same)
            labels = np.repeat([False, True], [len(others), len(few)])
            precision = average_precision(np.concatenate([others, few]), labels)
            results[f"verification, imbalanced, {name}, {WORDS[noise]}"] = 100 * precision
    return results


def matching(found: Sequences) -> dict[str, float]:
    """Is patch i of an image the nearest to patch i of the reference? Mean over images and sequences of the AP."""
    results = {}
    for noise in NOISES:
        precisions = []
        for s, n in enumerate(found.counts.values()):
            patch = np.arange(n)
            reference = found.values[found.rows(s, np.zeros(n, int), patch, noise)]
            for k in range(1, NUM_IMAGES):
                image = found.values[found.rows(s, np.full(n, k), patch, noise)]
                distances = distance_matrix(reference, image, found.distance)
                nearest = distances.argmin(1)
                precisions.append(average_precision(distances[patch, nearest], nearest == patch, n))
        results[f"matching, {WORDS[noise]}"] = 100 * float(np.mean(precisions))
    return results


def retrieval(found: Sequences, queries: np.ndarray, distractors: np.ndarray) -> dict[str, float]:
    """Are a reference patch's five others the nearest among the patches of other sequences? Mean of the AP.

    The pool of size K is the five, then the first distractors of other sequences than the query's, in their order.
    """
    zeros = np.zeros(len(distractors), int)
    pool = found.values[found.rows(distractors[:, 0], zeros, distractors[:, 1], "e")]
    precisions = np.zeros((len(NOISES), len(POOLS)))
    for i in range(0, len(queries), QUERIES_AT_ONCE):
        part = queries[i : i + QUERIES_AT_ONCE]
        asked = found.values[found.rows(part[:, 0], np.zeros(len(part), int), part[:, 1], "e")]
        away = distance_matrix(asked, pool, found.distance)
        right = np.stack([_right_distances(found, part, asked, noise) for noise in NOISES], 1)
        for q in range(len(part)):
            precisions += _pool_precisions(right[q], away[q, distractors[:, 0] != part[q, 0]])
    means = 100 * precisions / len(queries)
    cells = [(k, i, n, j) for i, k in enumerate(POOLS) for j, n in enumerate(NOISES)]
    return {f"retrieval, {k} patches, {WORDS[n]}": float(means[j, i]) for k, i, n, j in cells}


def _right_distances(found: Sequences, queries: np.ndarray, asked: np.ndarray, noise: str) -> np.ndarray:
    """(Q, 5) to the same patch in the five other images."""
    rows = [found.rows(queries[:, 0], np.full(len(queries), k), queries[:, 1], noise) for k in range(1, NUM_IMAGES)]
    return np.stack([pair_distances(asked, found.values[r], found.distance) for r in rows], 1)


def _pool_precisions(right: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(3, K) average precision of each noise's five right distances (3, 5) in the pools of a query.

    It needs no curve: recall grows at the r-th right patch only, where precision goes from (r - 1) / (r - 1 + f) to
    r / (r + f), f distractors being nearer.
    """
    sizes = np.minimum(np.array(POOLS) - right.shape[1], len(away))
    right = np.sort(right, axis=1)
    steps = np.sort(right.ravel())
    slot = np.searchsorted(steps, away, "right")  # a distractor at the very distance of a right patch comes after it
    order = np.searchsorted(steps, right, "left")
    nearer = np.zeros((*right.shape, len(sizes)))
    for k, size in enumerate(sizes):
        before = np.cumsum(np.bincount(slot[:size], minlength=right.size + 1))
        nearer[..., k] = before[order]  # distractors nearer than the right patch
    rank = np.arange(1, right.shape[1] + 1)[:, None]
    after = rank / (rank + nearer)
    before = np.where(rank - 1 + nearer == 0, 1.0, (rank - 1) / np.maximum(rank - 1 + nearer, 1))
    return ((before + after) / 2).mean(1)


def average_precision(distances: np.ndarray, labels: np.ndarray, num_positives: int | None = None) -> float:
    """Area under the curve of precision over recall, by trapezoids from (0, 1) on; nearest first, ties as given.

    num_positives: more than the labels have, if some can never be found.
    """
    hits = np.cumsum(labels[np.argsort(distances, kind="stable")])
    recall = np.concatenate([[0], hits / max(1, hits[-1] if num_positives is None else num_positives)])
    precision = np.concatenate([[1], hits / np.arange(1, len(hits) + 1)])
    return float(np.trapezoid(precision, recall))


def _roc_area(negative: np.ndarray, positive: np.ndarray) -> float:
    """Share of (negative, positive) in which the positive is nearer; a tie is lost."""
    nearer = np.searchsorted(np.sort(positive), negative, "left")  # positives nearer than each negative
    return float(nearer.sum() / (len(negative) * len(positive)))


def _distances(found: Sequences, pairs: np.ndarray, noise: str) -> np.ndarray:
    """(P,) of the rows `sequence, image, patch` twice of a task."""
    parts = []
    for i in range(0, len(pairs), AT_ONCE):
        s1, t1, i1, s2, t2, i2 = pairs[i : i + AT_ONCE].T
        first, second = (found.values[found.rows(*side, noise)] for side in ((s1, t1, i1), (s2, t2, i2)))
        parts.append(pair_distances(first, second, found.distance))
    return np.concatenate(parts)
