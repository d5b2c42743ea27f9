"""Descriptors side by side on pairs of patches: FPR95 of their values and of their bits, and what they cost."""

import concurrent.futures
import time
from dataclasses import dataclass, field

import numpy as np

from localize.evaluate.patches.bits import BitStatistics, bit_statistics
from localize.evaluate.patches.descriptors import PatchDescriptor, PatchNetwork, pair_distances
from localize.evaluate.patches.fpr95 import fpr95
from localize.io.benchmarks.phototour import draw_pairs, pair_lists, read_pairs, read_phototour, read_points
from localize.progress import counted
from localize.types import InputError

AT_ONCE = 1024  # patches that a thread describes between two signs of progress


@dataclass(frozen=True, eq=False)
class PatchPairs:
    """A folder in the format of UBC PhotoTour, and the pairs of its patches that are compared."""

    name: str
    folder: str
    told: str  # how many pairs, and where they come from
    points: np.ndarray  # (N,) of all patches
    first: np.ndarray  # (P,)
    second: np.ndarray  # (P,)
    same: np.ndarray  # (P,) bool


def choose_pairs(folder: str, name: str, num: int, seed: int) -> PatchPairs:
    """Those of the folder's list, or `num` matching ones and as many others drawn; reads no patches.

    Fewer are drawn where the points do not have so many. InputError if only one kind is there.
    """
    points, lists = read_points(folder), pair_lists(folder)
    if lists:
        found, told = read_pairs(folder, lists[0]), lists[0]
        if found[2].all() or not found[2].any():
            raise InputError(f"{folder}/{lists[0]}: matching and other pairs are needed, but only one kind is there")
    else:
        num = int(min(num, (np.unique(points, return_counts=True)[1] - 1).sum()))
        if not num:
            raise InputError(f"{folder} has no point with two patches: there is nothing to compare")
        found, told = draw_pairs(points, num, seed), f"drawn with seed {seed}"
    return PatchPairs(name, folder, f"{len(found[0])} pairs, {told}", points, *found)


@dataclass
class Contender:
    """A descriptor and what was found of it; a network of ours is judged by its values and by its bits."""

    name: str
    descriptor: PatchDescriptor
    real: list[float] = field(default_factory=list)  # FPR95 of each folder
    bits: list[float] = field(default_factory=list)
    codes: list[np.ndarray] = field(default_factory=list)  # of each folder (N, D) bool
    points: list[np.ndarray] = field(default_factory=list)  # and their points
    dim: int = 0
    seconds: float = 0.0
    num_patches: int = 0

    @property
    def has_bits(self) -> bool:
        """Whether the signs of its values are a descriptor too."""
        return isinstance(self.descriptor, PatchNetwork)

    def statistics(self) -> BitStatistics:
        """Of the bits, over all folders; matching pairs are those within a folder."""
        first = np.cumsum([0, *(int(p.max()) + 1 for p in self.points[:-1])])
        points = np.concatenate([p + f for p, f in zip(self.points, first, strict=True)])
        return bit_statistics(np.concatenate(self.codes), points)

    def rows(self) -> list[tuple]:
        """`name, values, dim, bytes, patches/s, FPR95 of each folder, mean`, for values and for bits."""
        speed = round(self.num_patches / self.seconds)
        found = [("real", 4 * self.dim, self.real), ("bits", -(-self.dim // 8), self.bits)]
        return [
            (self.name, kind, self.dim, size, speed, *figures, float(np.mean(figures)))
            for kind, size, figures in found
            if figures
        ]


def compare(contenders: list[Contender], pairs: PatchPairs, workers: int, progress: bool = False) -> None:
    """Describe the patches of the pairs with every contender, on `workers` threads, and add what is found."""
    used, row = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    sides = row[: len(pairs.first)], row[len(pairs.first) :]
    patches = read_phototour(pairs.folder)[0][used]
    for c in contenders:
        values = _describe(c, patches, workers, f"{pairs.name}, {c.name}" if progress else None)
        c.real.append(_fpr95(values, *sides, pairs.same, c.descriptor.distance))
        if c.has_bits:
            c.codes.append(values > 0)
            c.points.append(pairs.points[used])
            c.bits.append(_fpr95(c.codes[-1], *sides, pairs.same, "hamming"))


def _describe(c: Contender, patches: np.ndarray, workers: int, title: str | None) -> np.ndarray:
    """(N, D) values; adds to what the contender took."""
    c.descriptor.describe(patches[:2])  # loads and compiles, which is not to be timed
    chunks = [patches[i : i + AT_ONCE] for i in range(0, len(patches), AT_ONCE)]
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        found = pool.map(c.descriptor.describe, chunks)
        values = np.concatenate(list(counted(found, title or "", len(chunks), shown=title is not None)))
    c.seconds += time.perf_counter() - start
    c.num_patches += len(patches)
    c.dim = values.shape[1]
    return values


def _fpr95(values, first, second, same, distance: str) -> float:
    distances = pair_distances(values[first], values[second], distance)
    return fpr95(distances[same], distances[~same])
