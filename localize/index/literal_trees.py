"""The paper read literally: six supervised random trees over binary descriptors, leaves in order of probability.

The parallel search paper, sections 3.2.3 and 4.2 (trees after Feng, Fan & Wu, IEEE TIP 2016). The reference
and the baseline of trees that are built to be fast.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, query_field
from localize.index.bits import BITS, Coding, check_bits, learn_coding
from localize.index.leaf_model import branch_costs, estimate_gaussian
from localize.index.rescore import joined_queries, nearest_of_rows
from localize.kernels.literal_trees_build import build_tree
from localize.kernels.literal_trees_search import rows_of_best_leaves
from localize.kernels.threads import allowed_threads, on_threads, sliced
from localize.types import Nearest, PointRows
from localize.types.checks import check_array, check_finite, check_range


@dataclass(frozen=True, eq=False)
class Trees(Coding):
    """All trees behind one another in flat arrays; children and rows are absolute positions."""

    bit: np.ndarray  # (N,) int16, -1 = leaf
    left: np.ndarray  # (N,) int32, -1 = none
    right: np.ndarray  # (N,) int32, -1 = none
    lo: np.ndarray  # (N,) int32 into order
    hi: np.ndarray  # (N,) int32 into order
    order: np.ndarray  # (trees * M,) int32, rows in leaf order
    roots: np.ndarray  # (trees,) int32
    mean: float
    sigma: float

    def __post_init__(self):
        super().__post_init__()
        number = len(check_array(self, "bit", np.int16, (None,)))
        for name in ("left", "right", "lo", "hi"):
            check_array(self, name, np.int32, (number,))
        check_array(self, "order", np.int32, (None,))
        check_array(self, "roots", np.int32, (None,))
        check_finite(self, "mean", "sigma")
        check_range(self, "bit", -1, len(self.thresholds))
        check_range(self, "lo", 0, len(self.order) + 1)
        check_range(self, "hi", 0, len(self.order) + 1)
        check_range(self, "order", 0, len(self.order) // max(1, len(self.roots)))
        children = np.concatenate([self.left, self.right])
        there, parents = children >= 0, np.tile(np.arange(number), 2)
        reached = np.sort(np.concatenate([children[there], self.roots]))  # each node hangs at one parent, or is a root
        if (children[there] <= parents[there]).any() or not np.array_equal(reached, np.arange(number)):
            raise ValueError("Trees.left and Trees.right make no trees")

    def check_rows(self, rows: PointRows) -> None:
        """See `index.base.FitsRows`."""
        self.check_length(rows.descriptors.shape[1])
        check_range(self, "order", 0, len(rows.point))


@dataclass(frozen=True)
class LiteralTrees:
    """Random trees over the bits of all observations."""

    num_trees: int = 6
    max_depth: int = 23
    min_split: int = 2  # a node with fewer rows is a leaf; a node whose rows all show one point always is
    num_candidates: int = 32  # random bits tried per node
    window: int = 20_000  # rows looked at to choose a test
    balance_tolerance: float = 0.1  # |share of ones - 0.5| allowed
    bits: str = "auto"  # sign, median or itq; auto: sign, or one of the others where no value is negative
    num_bits: int | None = None  # of itq. None: 256
    seed: int = 0
    num_leaves: int = query_field(100)  # leaves visited
    scope: str = query_field("per_tree")  # num_leaves in each tree, or in total
    order: str = query_field("gaussian")  # leaf probability (RT_AP), or abs_value of the descriptor (RT)

    VERSION: ClassVar[int] = 2
    sweep: ClassVar[tuple] = "num_leaves", (10, 25, 50, 100, 200, 400)

    def __post_init__(self):
        positive = ("num_trees", "max_depth", "min_split", "num_candidates", "window", "num_bits", "num_leaves")
        choices = {"bits": BITS, "scope": ("per_tree", "total"), "order": ("gaussian", "abs_value")}
        check_component(self, positive=positive, choices=choices)
        check_bits(self)

    def build(self, rows: PointRows) -> Trees:
        """Trees over all rows (M >= 1)."""
        descriptors = np.asarray(rows.descriptors)
        coding = learn_coding(descriptors, self.bits, self.num_bits, self.seed)
        bits = coding.packed_bits(descriptors)
        given = bits, len(coding.thresholds), np.asarray(rows.point)
        trees = [self._tree(*given, self.seed + t) for t in range(self.num_trees)]
        del bits, given
        num_nodes = [len(t[0]) for t in trees]
        first_node = np.cumsum([0, *num_nodes[:-1]])
        first_row = len(descriptors) * np.arange(self.num_trees)

        def joined(column, offsets, absent=None):
            """One column of all trees, moved by each tree's offset, but for the value that means none."""
            parts = (t[column] for t in trees)
            moved = [np.where(p == absent, p, p + k) for p, k in zip(parts, offsets, strict=True)]
            return np.concatenate(moved).astype(np.int32)

        bit = np.concatenate([t[0] for t in trees])
        mean, sigma = estimate_gaussian(descriptors, coding, np.asarray(rows.point), bit[bit >= 0], seed=self.seed)
        return Trees(
            **vars(coding),
            bit=bit,
            left=joined(1, first_node, -1),
            right=joined(2, first_node, -1),
            lo=joined(3, first_row),
            hi=joined(4, first_row),
            order=np.concatenate([t[5] for t in trees]),
            roots=first_node.astype(np.int32),
            mean=mean,
            sigma=sigma,
        )

    def _tree(self, bits: np.ndarray, num_bits: int, point: np.ndarray, seed: int):
        """bit, left, right, lo, hi, order of one tree; points come in random order, rows of a point together."""
        rank = np.random.default_rng(seed).permutation(int(point.max(initial=-1)) + 1)
        order = np.argsort(rank[point], kind="stable").astype(np.int32)
        tree = build_tree(
            bits,
            num_bits,
            point,
            order,
            self.max_depth,
            self.min_split,
            self.num_candidates,
            self.window,
            self.balance_tolerance,
            seed,
        )
        return *tree, order

    def nearest(self, built: Trees, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points among the rows in the best leaves of each descriptor."""

        def work(part: slice) -> Nearest:
            return nearest_of_rows(rows, descriptors[part], *self.best_rows(built, descriptors[part]))

        return joined_queries(on_threads(work, sliced(len(descriptors), allowed_threads())))

    def best_rows(self, built: Trees, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distinct rows in the best leaves of each descriptor (Q, D) as CSR: indptr (Q + 1,) int64, rows int32."""
        zero, one = branch_costs(built.projected(descriptors), built.thresholds, self.order, built.mean, built.sigma)
        flat = [np.asarray(a) for a in (built.bit, built.left, built.right, built.lo, built.hi, built.order)]
        num_rows = len(built.order) // len(built.roots)
        per_tree = self.scope == "per_tree"
        return rows_of_best_leaves(np.asarray(built.roots), per_tree, *flat, zero, one, self.num_leaves, num_rows)
