"""What random trees are made of: flat arrays."""

from dataclasses import dataclass

import numpy as np

from localize.index.bits import Coding
from localize.index.directions import MOST
from localize.kernels.nibble_tables import WORDS
from localize.kernels.random_trees_build import DIRECTION
from localize.kernels.vector_code import BLOCK, LINE
from localize.types import InputError, PointRows
from localize.types.checks import check_array, check_finite, check_indptr, check_range


@dataclass(frozen=True, eq=False)
class Forest(Coding):
    """All trees behind one another in flat arrays. Node: see `kernels.random_trees_build.DIRECTION`, or -1 - leaf."""

    directions: np.ndarray  # (D, K) float32, along which the nodes test
    nodes: np.ndarray  # (N,) int64; a node's two children are adjacent, that not above the threshold first
    roots: np.ndarray  # (trees,) int32
    first_block: np.ndarray  # (L + 1,) int64: blocks of leaf l are first_block[l] to first_block[l + 1]
    leaf_items: np.ndarray  # (L,) int32, number of items
    codes: np.ndarray  # (B * bytes * 32,) uint8: blocks of 32 codes, byte by byte
    block_items: np.ndarray  # (B * 32,) int32, the item of each code
    values: np.ndarray  # (I, D) int8; descriptor = scale * values
    scale: np.ndarray  # (I,) float32
    point: np.ndarray  # (I,) int32 into PointRows.points

    def __post_init__(self):
        super().__post_init__()
        blocks = len(self.block_items) // BLOCK
        check_array(self, "directions", np.float32, (None, None))
        check_array(self, "nodes", np.int64, (None,))
        check_array(self, "roots", np.int32, (None,))
        leaves = len(check_array(self, "leaf_items", np.int32, (None,)))
        check_array(self, "first_block", np.int64, (leaves + 1,))
        check_array(self, "block_items", np.int32, (blocks * BLOCK,))
        check_array(self, "codes", np.uint8, (8 * blocks * BLOCK * num_words(len(self.thresholds)),))
        items = len(check_array(self, "values", np.int8, (None, None)))
        check_array(self, "scale", np.float32, (items,))
        check_array(self, "point", np.int32, (items,))
        check_finite(self, "scale", "directions")
        check_indptr(self, "first_block", blocks)
        check_range(self, "block_items", 0, items)
        check_range(self, "point", 0, 2**31)
        if (-(-self.leaf_items // BLOCK) != np.diff(self.first_block)).any():
            raise ValueError("Forest.leaf_items do not fill the blocks of their leaves")
        self._check_nodes(leaves)

    def _check_nodes(self, leaves: int) -> None:
        """A walk ends: each node hangs at one parent before it, or is a root, and each leaf is one node's."""
        number = len(self.nodes)
        inner = self.nodes[self.nodes >= 0]
        child, direction = inner >> 32, inner >> DIRECTION & 65535
        reached = np.concatenate([child, child + 1, self.roots])
        own = -1 - self.nodes[self.nodes < 0]
        if (
            (child <= np.flatnonzero(self.nodes >= 0)).any()
            or (direction >= min(self.directions.shape[1], MOST)).any()
            or not np.array_equal(np.sort(reached), np.arange(number))
            or not np.array_equal(np.sort(own), np.arange(leaves))
        ):
            raise ValueError("Forest.nodes are no trees")

    def check_rows(self, rows: PointRows) -> None:
        """See `index.base.FitsRows`."""
        self.check_length(self.values.shape[1])
        self.check_length(len(self.directions))
        self.check_length(rows.descriptors.shape[1])
        check_range(self, "point", 0, len(rows.points))


def num_words(num_bits: int) -> int:
    """64-bit words of a code of this many bits."""
    if num_bits > 64 * WORDS[-1]:
        raise InputError(f"codes of {num_bits} bits, but the trees take at most {64 * WORDS[-1]}: take index.bits=itq")
    return next(w for w in WORDS if 64 * w >= num_bits)


def aligned(shape: int | tuple[int, ...], dtype: type) -> np.ndarray:
    """An empty array that begins with a cache line, as memory-mapped ones do: a block's loads then touch one line each.

    A scan of codes takes 3/4 of the time.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    return memory[first : first + size].view(dtype).reshape(shape)


def join(trees: list) -> dict[str, np.ndarray]:
    """The flat arrays of all trees behind one another."""
    nodes, first_block, leaf_items, blocks, block_items = zip(*trees, strict=True)
    first = {"node": 0, "leaf": 0, "block": 0}
    roots, moved_nodes, moved_blocks = [], [], []
    for n, b, i in zip(nodes, first_block, leaf_items, strict=True):
        roots.append(first["node"])
        moved_nodes.append(np.where(n >= 0, n + (first["node"] << 32), n - first["leaf"]))
        moved_blocks.append(b[:-1] + first["block"])
        first = {"node": first["node"] + len(n), "leaf": first["leaf"] + len(i), "block": first["block"] + b[-1]}
    return {
        "nodes": np.concatenate(moved_nodes),
        "roots": np.array(roots, np.int32),
        "first_block": np.concatenate([*moved_blocks, [first["block"]]]),
        "leaf_items": np.concatenate(leaf_items),
        "codes": np.concatenate([b.reshape(-1) for b in blocks], out=aligned(sum(b.size for b in blocks), np.uint8)),
        "block_items": np.concatenate([i.reshape(-1) for i in block_items]),
    }
