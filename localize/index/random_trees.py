"""Random trees for maps of a city's size: tests along learned directions, exact order of leaves, a pre-ranking by bits,
8-bit scores.

The parallel search paper, sections 3.2.3 and 4.2, with our own answers where it is silent or slow: tests chosen by what
they tell of a point whatever the noise (`directions`), leaves of many items, no heap (kernels/random_trees_*.py).
literal_trees.py has the paper read literally, with tests on single bits.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_expit, log_ndtr, ndtr

from localize.components import check_component, query_field
from localize.index.bits import BITS, check_bits, learn_coding
from localize.index.directions import STEP, along, learn_directions
from localize.index.forest import Forest, aligned, join, num_words
from localize.index.items import ITEMS, index_items
from localize.kernels.nibble_tables import tables_of
from localize.kernels.random_trees_build import THRESHOLD, build_tree, lay_out
from localize.kernels.random_trees_scan import FEW, best_two_of_shortlists, pairs_by_leaf, scan_leaves
from localize.kernels.random_trees_search import COST, LEAVES, MASS, MAX_COST, leaves_of_queries
from localize.kernels.random_trees_search import ITEMS as COUNT_ITEMS
from localize.kernels.rows import as_stored, quantise_rows
from localize.kernels.threads import allowed_threads, available_cores, on_threads, sliced
from localize.kernels.vector_code import BLOCK
from localize.types import LEAF, InputError, Nearest, PointRows

UNITS = {"leaves": LEAVES, "items": COUNT_ITEMS, "mass": MASS}
COST_UNIT = 64  # costs per nat
MAX_NATS = 16.0  # the cost of a single test
MAX_DEPTH = int(MAX_COST / (COST_UNIT * MAX_NATS)) - 1  # 31
REACH = 6  # standard deviations beyond which an observation is sure to be on its side
BATCH = 8192  # queries at once


@dataclass(frozen=True)
class RandomTrees:
    """Random trees whose leaves hold codes of the items."""

    items: str = "mean"  # one normalised mean descriptor per point, or all observations
    num_trees: int = 6
    max_depth: int = 23
    leaf_size: int = 256  # items; a larger node is split, above max_depth
    num_candidates: int = 8  # random directions tried per node
    window: int = 128  # items looked at to choose a test
    bits: str = "auto"  # sign, median or itq; auto: sign, or one of the others where no value is negative
    num_bits: int | None = None  # of itq. None: 256
    seed: int = 0
    budget: float = query_field(0.65)  # how much of the trees a query visits
    budget_unit: str = query_field("mass")  # leaves, items in them, or mass: their probability, below 1
    noise: float = query_field(2.0)  # how much more a query differs from the map than its observations do; 1: as they
    num_scored: int = query_field(
        24
    )  # codes that disagree least with a query, times the items of a point, are compared
    order: str = query_field("gaussian")  # leaf probability (RT_AP), or abs_value of the descriptor (RT)

    VERSION: ClassVar[int] = 4
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
        directions = learn_directions(items.descriptors, rows)
        codes = np.empty((len(stored), num_words(len(coding.thresholds))), np.uint64)
        steps = np.empty((len(stored), directions.shape[1]), np.int16)
        values, scale = aligned(stored.shape, np.int8), np.empty(len(stored), np.float32)

        def encode(part: slice) -> None:
            coding.pack(items.descriptors[part], codes[part])
            for at in range(part.start, part.stop, BATCH):
                block = slice(at, min(at + BATCH, part.stop))
                steps[block] = along(directions, items.descriptors[block])
            quantise_rows(stored, half, np.arange(part.start, part.stop), values[part], scale[part])

        on_threads(encode, sliced(len(stored), threads), threads)
        chance = ndtr(np.arange(-REACH * STEP, REACH * STEP + 1) / STEP)

        def tree(number: int):
            return self._tree(self.seed + number, codes, steps, chance)

        joined = join(on_threads(tree, range(self.num_trees), threads))
        point = np.asarray(items.point)
        return Forest(**vars(coding), directions=directions, **joined, values=values, scale=scale, point=point)

    def _tree(self, seed: int, codes, steps, chance) -> tuple:
        """Nodes, first blocks, sizes of the leaves, blocks of codes and their items, of one tree."""
        item = np.random.default_rng(seed).permutation(len(codes)).astype(np.int32)
        limits = self.max_depth, self.leaf_size, self.num_candidates, self.window
        nodes, lo, hi = build_tree(steps, item, chance, *limits, seed)
        first_block = np.concatenate([[0], np.cumsum(-((lo - hi) // BLOCK))])
        blocks = np.empty((first_block[-1], 8 * codes.shape[1], BLOCK), np.uint8)
        block_items = np.empty((first_block[-1], BLOCK), np.int32)
        lay_out(codes.view(np.uint8), item, lo, hi, first_block, blocks, block_items)
        return nodes, first_block, (hi - lo).astype(np.int32), blocks, block_items

    def nearest(self, built: Forest, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points of descriptors (Q, D) float32 in the most probable leaves; similarities to 8 bits."""
        best, second = np.full((2, len(descriptors)), -np.inf, np.float32)
        point = np.full(len(descriptors), -1, np.int32)
        room = self.num_scored * -(-len(built.point) // max(1, len(rows.points)))  # of a point all items may come first
        threads = allowed_threads()
        parts = sliced(len(descriptors), max(threads, -(-len(descriptors) // BATCH)))

        def work(part: slice) -> int:
            return self._nearest(built, descriptors[part], room, best[part], point[part], second[part])

        compared = sum(on_threads(work, parts, threads))
        source = np.where(point >= 0, LEAF, 0).astype(np.uint8)
        return Nearest(best, point, second, source, compared / max(1, len(descriptors)))

    def leaves(self, built: Forest, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The leaves each query (Q, D) visits as CSR: indptr (Q + 1,) int64, leaves int32."""
        nodes, roots, sizes = (np.asarray(v) for v in (built.nodes, built.roots, built.leaf_items))
        mass = np.exp(-np.arange(MAX_COST + 1) / COST_UNIT) / len(roots)
        grid = self.costs()
        places = along(built.directions, descriptors).astype(np.int64) + (THRESHOLD + len(grid) // 2)
        grid = (grid.astype(np.uint64) << COST).reshape(-1)
        return leaves_of_queries(nodes, roots, places, grid, UNITS[self.budget_unit], self.budget, sizes, mass)

    def costs(self) -> np.ndarray:
        """Costs (2 R + 1, 2) int32 of the sides not above and above a threshold for a query that lies d STEPs of the
        noise above it, at R + d; further away they are the same: -log of their probabilities, in 1/64 nat.

        With z = d / (STEP * noise), as photos of another time differ more than the map's: gaussian: P(above) = Phi(z)
        (the paper's eq. 5-6 with mu = 0: RT_AP). abs_value: |z| are the log-odds of the query's own side (its ablation
        RT, which names no probability).
        """
        price, reach = (log_ndtr, REACH) if self.order == "gaussian" else (log_expit, MAX_NATS)
        steps = int(np.ceil(reach * STEP * self.noise))
        z = np.arange(-steps, steps + 1)[:, None] / (STEP * self.noise) * np.array([-1, 1])
        return np.rint(COST_UNIT * np.minimum(-price(z), MAX_NATS)).astype(np.int32)

    def _nearest(self, built: Forest, descriptors, room: int, best, point, second) -> int:
        """Fill best, point and second from shortlists of `room` codes, on one thread; how many were compared in all."""
        width = (0,) * num_words(len(built.thresholds))
        projected = built.projected(descriptors)
        sizes = np.asarray(built.leaf_items)
        indptr, leaves = self.leaves(built, descriptors)
        tables = tables_of(projected, np.asarray(built.thresholds), len(width)).reshape(-1)
        keys, size = np.empty((len(descriptors), room), np.int64), np.empty(len(descriptors), np.int64)
        blocks = np.asarray(built.first_block), sizes, np.asarray(built.codes)
        scan_leaves(*pairs_by_leaf(indptr, leaves, len(sizes)), *blocks, tables, width, keys, size)
        few = FEW if self.items == "mean" else room
        items = tuple(np.asarray(v) for v in (built.values, built.scale, built.point))
        found = best, point, second
        best_two_of_shortlists(descriptors, keys, size, few, np.asarray(built.block_items), items, *found)
        return int(sizes[leaves].sum(dtype=np.int64))
