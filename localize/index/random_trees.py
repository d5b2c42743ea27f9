"""Random trees over binary codes for maps of a city's size: exact order of leaves, a pre-ranking by bits, 8-bit scores.

The parallel search paper, sections 3.2.3 and 4.2, with our own answers where it is silent or slow: tests chosen by the
information they keep, leaves of many items, no heap (kernels/random_trees_*.py). literal_trees.py has the paper read
literally.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_expit, log_ndtr

from localize.components import check_component, query_field
from localize.index.bits import BITS, SAMPLE, check_bits, learn_coding
from localize.index.forest import Forest, aligned, bit_rates, join, num_words, point_flips, spread
from localize.index.items import ITEMS, index_items
from localize.index.leaf_model import gaussian_of_pairs
from localize.kernels.codes import costs_of_tests
from localize.kernels.nibble_tables import tables_of
from localize.kernels.random_trees_build import build_tree, lay_out
from localize.kernels.random_trees_scan import best_two_of_shortlists, pairs_by_leaf, scan_leaves
from localize.kernels.random_trees_search import ITEMS as COUNT_ITEMS
from localize.kernels.random_trees_search import LEAVES, MASS, MAX_COST, leaves_of_queries
from localize.kernels.rows import as_stored, quantise_rows
from localize.kernels.threads import allowed_threads, available_cores, on_threads, sliced
from localize.kernels.vector_code import BLOCK
from localize.types import LEAF, InputError, Nearest, PointRows

UNITS = {"leaves": LEAVES, "items": COUNT_ITEMS, "mass": MASS}
COST_UNIT = 64  # costs per nat
MAX_NATS = 16.0  # the cost of a single test
MAX_DEPTH = int(MAX_COST / (COST_UNIT * MAX_NATS)) - 1  # 31
GRID = np.arange(-8.0, 8.0, 1 / 128)  # of z = deviations from the threshold; beyond, the cost changes nothing
BATCH = 8192  # queries at once


@dataclass(frozen=True)
class RandomTrees:
    """Random trees over codes of the items."""

    items: str = "mean"  # one normalised mean descriptor per point, or all observations
    num_trees: int = 6
    max_depth: int = 23
    leaf_size: int = 256  # items; a larger node is split, above max_depth
    num_candidates: int = 32  # random bits tried per node
    window: int = 512  # items looked at to choose a test
    bits: str = "auto"  # sign, median or itq; auto: sign, or one of the others where no value is negative
    num_bits: int | None = None  # of itq. None: 256
    seed: int = 0
    budget: float = query_field(0.4)  # how much of the trees a query visits
    budget_unit: str = query_field("mass")  # leaves, items in them, or mass: their probability, below 1
    noise: float = query_field(2.0)  # how much more a query differs from the map than its observations do; 1: as they
    num_scored: int = query_field(16)  # codes that disagree least with a query; their real values are compared
    order: str = query_field("gaussian")  # leaf probability (RT_AP), or abs_value of the descriptor (RT)

    VERSION: ClassVar[int] = 3
    RANGES: ClassVar[dict] = {"max_depth": (1, MAX_DEPTH)}
    sweep: ClassVar[tuple] = "budget", (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

    def __post_init__(self):
        positive = (
            *("num_trees", "max_depth", "leaf_size", "num_candidates", "window", "num_bits"),
            *("budget", "noise", "num_scored"),
        )
        choices = {"items": ITEMS, "bits": BITS, "budget_unit": tuple(UNITS), "order": ("gaussian", "abs_value")}
        check_component(self, positive=positive, choices=choices)
        check_bits(self)
        if self.budget_unit == "mass" and self.budget >= 1:
            raise InputError(f"RandomTrees.budget is {self.budget}, but a probability mass must be below 1")

    def build(self, rows: PointRows) -> Forest:
        """Trees over all rows, or over their points' means (M >= 1), on all cores."""
        threads = available_cores()
        items = index_items(rows, self.items, threads)
        stored, half = as_stored(items.descriptors)
        coding = learn_coding(items.descriptors, self.bits, self.num_bits, self.seed)
        num_bits = len(coding.thresholds)
        codes = np.empty((len(stored), num_words(num_bits)), np.uint64)
        values, scale = aligned(stored.shape, np.int8), np.empty(len(stored), np.float32)

        def encode(part: slice) -> None:
            coding.pack(items.descriptors[part], codes[part])
            quantise_rows(stored, half, np.arange(part.start, part.stop), values[part], scale[part])

        on_threads(encode, sliced(len(stored), threads), threads)
        flips, first, last = point_flips(rows, coding, codes.shape[1], threads)
        seen_twice = first != last
        flip_rate = bit_rates(flips[seen_twice][:SAMPLE], num_bits)
        point = np.asarray(items.point)

        def tree(number: int):
            return self._tree(self.seed + number, codes, point, flips, seen_twice, flip_rate)

        joined = join(on_threads(tree, range(self.num_trees), threads))
        tested = joined["nodes"][joined["nodes"] >= 0] & 1023
        mean, sigma = gaussian_of_pairs(rows, coding, first[seen_twice], last[seen_twice], tested, seed=self.seed)
        if not seen_twice.any():  # nobody knows how much a descriptor changes: as much as they differ
            sigma = max(sigma, spread(items.descriptors, coding))
        return Forest(**vars(coding), **joined, values=values, scale=scale, point=point, mean=mean, sigma=sigma)

    def _tree(self, seed: int, codes, point, flips, seen_twice, flip_rate) -> tuple:
        """Nodes, first blocks, sizes of the leaves, blocks of codes and their items, of one tree."""
        item = np.random.default_rng(seed).permutation(len(codes)).astype(np.int32)
        own = codes[item]
        limits = self.max_depth, self.leaf_size, self.num_candidates, self.window
        nodes, lo, hi = build_tree(own, item, point, flips, seen_twice, flip_rate, *limits, seed)
        first_block = np.concatenate([[0], np.cumsum(-((lo - hi) // BLOCK))])
        blocks = np.empty((first_block[-1], 8 * codes.shape[1], BLOCK), np.uint8)
        block_items = np.empty((first_block[-1], BLOCK), np.int32)
        lay_out(own.view(np.uint8), item, lo, hi, first_block, blocks, block_items)
        return nodes, first_block, (hi - lo).astype(np.int32), blocks, block_items

    def nearest(self, built: Forest, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points of descriptors (Q, D) float32 in the most probable leaves; similarities to 8 bits."""
        best, second = np.full((2, len(descriptors)), -np.inf, np.float32)
        point = np.full(len(descriptors), -1, np.int32)
        threads = allowed_threads()
        parts = sliced(len(descriptors), max(threads, -(-len(descriptors) // BATCH)))

        def work(part: slice) -> int:
            return self._nearest(built, descriptors[part], best[part], point[part], second[part])

        compared = sum(on_threads(work, parts, threads))
        source = np.where(point >= 0, LEAF, 0).astype(np.uint8)
        return Nearest(best, point, second, source, compared / max(1, len(descriptors)))

    def leaves(self, built: Forest, projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The leaves each query, projected as `built` does it, visits as CSR: indptr (Q + 1,) int64, leaves int32."""
        nodes, roots, sizes = (np.asarray(v) for v in (built.nodes, built.roots, built.leaf_items))
        mass = np.exp(-np.arange(MAX_COST + 1) / COST_UNIT) / len(roots)
        costs = self.costs(built, projected)
        return leaves_of_queries(nodes, roots, costs, UNITS[self.budget_unit], self.budget, sizes, mass)

    def costs(self, built: Forest, projected: np.ndarray) -> np.ndarray:
        """Costs (Q, 2 K) int32 of the 0 and the 1 side of every possible test: -log of its probability, in 1/64 nat.

        With z = (q + mean - threshold) / sigma, and for sigma `noise` times that between observations of a point, as
        photos of another time differ more: gaussian: P(1) = Phi(z) (the paper's eq. 5-6: RT_AP). abs_value: |z| are the
        log-odds of the query's own bit (its ablation RT, which names no probability).
        """
        price = log_ndtr if self.order == "gaussian" else log_expit
        grid = np.rint(COST_UNIT * np.minimum(-price(GRID), MAX_NATS)).astype(np.int32)
        costs = np.empty((len(projected), 2 * projected.shape[1]), np.int32)
        step, sigma = GRID[1] - GRID[0], self.noise * built.sigma
        costs_of_tests(projected, np.asarray(built.thresholds), built.mean, sigma, grid, GRID[0], step, costs)
        return costs

    def _nearest(self, built: Forest, descriptors, best, point, second) -> int:
        """Fill best, point and second, on one thread; how many codes were compared in all."""
        num, width = len(descriptors), (0,) * num_words(len(built.thresholds))
        projected = built.projected(descriptors)
        sizes = np.asarray(built.leaf_items)
        indptr, leaves = self.leaves(built, projected)
        start, queries = pairs_by_leaf(indptr, leaves, len(sizes))
        tables = tables_of(projected, np.asarray(built.thresholds), len(width)).reshape(-1)
        keys, found = np.empty((num, 2 * self.num_scored), np.int64), np.zeros(num, np.int32)
        blocks = np.asarray(built.first_block), sizes, np.asarray(built.codes)
        scan_leaves(start, queries, *blocks, tables, width, self.num_scored, keys, found)
        items = (np.asarray(v) for v in (built.values, built.scale, built.point, built.block_items))
        best_two_of_shortlists(descriptors, *items, self.num_scored, keys, found, best, point, second)
        return int(sizes[leaves].sum(dtype=np.int64))
