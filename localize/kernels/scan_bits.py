"""Every query against every given row, by the signs first: the few rows nearest in Hamming distance are compared by
their values.

For descriptors made for it, such as CRBNet's. Codes lie in blocks (`kernels.vector_code`), a few thousand at a time in
the cache, and each block is compared with all queries while it is there.
"""

import numpy as np
from numba import njit

from localize.kernels.codes import pack_codes
from localize.kernels.random_trees_scan import MAX_BITS, POSITION, keep_nearest, scan_leaves
from localize.kernels.rows import as_stored
from localize.kernels.threads import allowed_threads, on_threads, sliced
from localize.kernels.vector_code import BLOCK, WORDS

AT_ONCE = 128  # blocks that stay in the cache while all queries are compared with them: 64 kB of 256 bits
KEPT = 32  # rows of a query that are compared by their values; a point seen from 20 photos takes up to 20 of them


def nearest_rows(queries: np.ndarray, stored: np.ndarray, half: bool, rows: np.ndarray, kept: int = KEPT) -> np.ndarray:
    """The `kept` rows nearest to each query in the Hamming distance of signs: (Q, kept) int32 into `rows`, -1 = none.

    queries (Q, D) float32; stored (M, D), half: as `rows.as_stored` gives them; rows (F,) those that count. Of equal
    distances the first rows are taken.
    """
    words = next(w for w in WORDS if 64 * w >= stored.shape[1])
    blocks = codes_in_blocks(stored, half, rows, words)
    ours = np.zeros((len(queries), words), np.uint64)
    pack_codes(*as_stored(queries), np.zeros(queries.shape[1], np.float32), ours)
    found = np.full((len(queries), kept), -1, np.int32)

    def work(part: slice) -> None:
        first = np.arange(0, blocks.shape[0] + AT_ONCE, AT_ONCE).clip(max=blocks.shape[0])
        num, parts = part.stop - part.start, len(first) - 1
        asked = np.tile(np.arange(num, dtype=np.int32), parts)
        start = np.arange(parts + 1, dtype=np.int64) * num
        wanted = kept + BLOCK - 1  # what fills the last block up may be among them
        keys, size = np.empty((num, 2 * wanted), np.int64), np.zeros(num, np.int32)
        codes = ours[part].reshape(-1)
        scan_leaves(start, asked, first, blocks.reshape(-1), codes, (0,) * words, wanted, keys, size)
        read_keys(keys, size, len(rows), found[part])

    on_threads(work, sliced(len(queries), allowed_threads()))
    return found


def codes_in_blocks(stored: np.ndarray, half: bool, rows: np.ndarray, words: int) -> np.ndarray:
    """Codes of the rows' signs (B, words, BLOCK) uint64, filled up with zeros to whole blocks."""
    codes = np.zeros((-(-len(rows) // BLOCK) * BLOCK, words), np.uint64)
    pack_codes(np.ascontiguousarray(stored[rows]), half, np.zeros(stored.shape[1], np.float32), codes[: len(rows)])
    return np.ascontiguousarray(codes.reshape(-1, BLOCK, words).transpose(0, 2, 1))


@njit(nogil=True, cache=True)
def read_keys(keys, size, num_rows, found):
    """The nearest rows of what `scan_leaves` left (Q, K), into found (Q, kept); none that only fills the last block."""
    histogram = np.zeros(MAX_BITS + 1, np.int32)
    for q in range(keys.shape[0]):
        rows = 0
        for i in range(size[q]):
            if keys[q, i] & POSITION < num_rows:
                keys[q, rows] = keys[q, i]
                rows += 1
        count, _ = keep_nearest(keys[q], rows, found.shape[1], histogram)
        for i in range(count):
            found[q, i] = keys[q, i] & POSITION
