"""Every query against every given row, by the rows' signs first: the few whose signs disagree least with the query's
values (`nibble_tables`) are compared by their own values.

For descriptors made for it, such as CRBNet's. Codes lie in blocks, a few thousand at a time in the cache, and each
block is compared with all queries while it is there.
"""

import numpy as np
from numba import njit

from localize.kernels.codes import in_blocks, pack_codes
from localize.kernels.nearest_codes import POSITION, nearest_in_blocks
from localize.kernels.nibble_tables import WORDS, tables_of
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

    flat = blocks.reshape(-1), tables.reshape(-1)

    def work(part: slice) -> None:
        scan_rows(len(rows), *flat, (0,) * words, part.start, found[part])

    on_threads(work, sliced(len(queries), allowed_threads()))
    return found


@njit(nogil=True, cache=True)
def scan_rows(num_rows, codes, tables, width, first_query, found):
    """Bring the nearest rows of consecutive queries, from the first one on, into found (Q, kept); see
    `nearest_in_blocks`."""
    num, kept = found.shape
    keys, size, sums = np.empty((num, kept), np.int64), np.zeros(num, np.int64), np.empty(BLOCK, np.uint8)
    for first in range(0, num_rows, AT_ONCE * BLOCK):
        number = min(AT_ONCE * BLOCK, num_rows - first)
        for q in range(num):
            size[q] = nearest_in_blocks(
                first // BLOCK, number, codes, tables, first_query + q, width, keys[q], size[q], sums
            )
    for q in range(num):
        for i in range(size[q]):
            found[q, i] = keys[q, i] & POSITION
