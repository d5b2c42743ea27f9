"""Every query against every given row, by the rows' signs first: the few whose signs disagree least with the query's
values (`nibble_tables`) are compared by their own values.

For descriptors made for it, such as CRBNet's. Codes lie in blocks, a few thousand at a time in the cache, and each
block is compared with all queries while it is there.
"""

import numpy as np
from numba import njit

from localize.kernels.codes import in_blocks, pack_codes
from localize.kernels.nibble_tables import FAR, WORDS, tables_of
from localize.kernels.random_trees_scan import POSITION, keep_nearest, scan_leaves
from localize.kernels.threads import allowed_threads, on_threads, sliced
from localize.kernels.vector_code import BLOCK

AT_ONCE = 64  # blocks that stay in the cache while all queries are compared with them: 64 kB of 256 bits
KEPT = 32  # rows of a query that are compared by their values; a point seen from 20 photos takes up to 20 of them


def nearest_rows(queries: np.ndarray, stored: np.ndarray, half: bool, rows: np.ndarray, kept: int = KEPT) -> np.ndarray:
    """The `kept` rows whose signs disagree least with each query: (Q, kept) int32 into `rows`, -1 = none.

    queries (Q, D) float32; stored (M, D), half: as `rows.as_stored` gives them; rows (F,) those that count. Of equal
    ones the first rows are taken.
    """
    words, zeros = next(w for w in WORDS if 64 * w >= stored.shape[1]), np.zeros(stored.shape[1], np.float32)
    codes = np.empty((len(rows), words), np.uint64)
    pack_codes(np.ascontiguousarray(stored[rows]), half, zeros, codes)
    blocks = in_blocks(codes)
    tables = tables_of(queries, zeros, words)
    found = np.full((len(queries), kept), -1, np.int32)

    def work(part: slice) -> None:
        first = np.arange(0, len(blocks) + AT_ONCE, AT_ONCE).clip(max=len(blocks))
        held = np.diff((BLOCK * first).clip(max=len(rows)))
        num, parts = part.stop - part.start, len(held)
        asked = np.tile(np.arange(num, dtype=np.int32), parts)
        start = np.arange(parts + 1, dtype=np.int64) * num
        keys, size = np.empty((num, 2 * kept), np.int64), np.zeros(num, np.int32)
        flat = blocks.reshape(-1), tables[part].reshape(-1)
        scan_leaves(start, asked, first, held, *flat, (0,) * words, kept, keys, size)
        read_keys(keys, size, found[part])

    on_threads(work, sliced(len(queries), allowed_threads()))
    return found


@njit(nogil=True, cache=True)
def read_keys(keys, size, found):
    """The nearest rows of what `scan_leaves` left (Q, K), into found (Q, kept)."""
    histogram = np.zeros(FAR + 1, np.int32)
    for q in range(keys.shape[0]):
        count, _ = keep_nearest(keys[q], size[q], found.shape[1], histogram)
        for i in range(count):
            found[q, i] = keys[q, i] & POSITION
