"""Every query against every given row: blocks of a matrix product, read for the best points while they are in cache.

Lowe's ratio test (IJCV 2004) needs a query's best point and how similar the best other point is, so a block of
similarities is folded into these at once and never kept. The work is split over queries (`kernels.threads`).
"""

import functools
import pathlib

import numpy as np

from localize.kernels.nearest import best_two_points_dense, best_two_points_sparse, keep_best_points
from localize.kernels.rows import quantise_rows, read_rows
from localize.kernels.scan_bits import nearest_rows
from localize.kernels.threads import allowed_threads, on_threads, one_torch_thread, sliced

QUERIES, ROWS = 1024, 1024  # of a block: 4 MB of similarities
KEPT = 4  # points of a query that are compared again, exactly, after products of int8


def scan_float32(queries: np.ndarray, stored: np.ndarray, half: bool, rows: np.ndarray, point: np.ndarray):
    """Largest similarity (Q,) float32, its point (Q,) int32, and the largest similarity of any other point (Q,).

    queries (Q, D) float32; stored (M, D), half: as `rows.as_stored` gives them; rows (F,): those that all queries are
    compared with; point (F,) int32 of each. -inf and -1: none. Ties go to the smaller point.
    """
    best, second = np.full((2, len(queries)), -np.inf, np.float32)
    best_point = np.full(len(queries), -1, np.int32)

    def work(part: slice) -> None:
        block = np.empty((ROWS, queries.shape[1]), np.float32)
        similarity = np.empty((part.stop - part.start) * ROWS, np.float32)
        for at in range(0, len(rows), ROWS):
            ids = rows[at : at + ROWS]
            read_rows(stored, half, ids, block)
            product = similarity[: (part.stop - part.start) * len(ids)].reshape(-1, len(ids))
            np.matmul(queries[part], block[: len(ids)].T, out=product)
            best_two_points_dense(product, point[at : at + ROWS], best[part], best_point[part], second[part])

    on_threads(work, _parts(len(queries), QUERIES))
    return best, best_point, second


def scan_int8(queries: np.ndarray, stored: np.ndarray, half: bool, rows: np.ndarray, point: np.ndarray):
    """As `scan_float32`, but products of int8 choose each query's few best points, and these are compared exactly.

    Of a chosen point only the row that was best in int8 is compared. Of 2,000 queries against 20 frames of 2,000 rows
    (benchmarks/frames.py, AVX-512 VNNI) all found float32's point and got its verdict by the ratio test, in a quarter
    of its time; bfloat16 took half of it, and as torch rounds its sums to 8 bits, 98.8 % found the same point.
    On real photos (fountain-P11, RootSIFT and CRBNet, 20,000 queries) one found another point, one got another verdict;
    similarities were at most 0.0034 lower.
    """
    kept = best_columns(queries, *quantised(stored, half, rows), point)
    return compared_again(kept, queries, stored, half, rows, point)


def scan_bits(queries: np.ndarray, stored: np.ndarray, half: bool, rows: np.ndarray, point: np.ndarray):
    """As `scan_float32`, but the rows' signs choose each query's rows, and these are compared exactly."""
    kept = nearest_rows(queries, stored, half, rows)
    return compared_again(kept, queries, stored, half, rows, point)


def compared_again(
    kept: np.ndarray, queries: np.ndarray, stored: np.ndarray, half: bool, rows: np.ndarray, point: np.ndarray
):
    """As `scan_float32`, among the rows rows[kept] of each query; kept (Q, K) int32, -1 = none."""
    best, second = np.full((2, len(queries)), -np.inf, np.float32)
    best_point = np.full(len(queries), -1, np.int32)
    indptr = np.concatenate([[0], np.cumsum((kept >= 0).sum(1))])
    columns = kept[kept >= 0]
    best_two_points_sparse(queries, stored, half, point[columns], indptr, rows[columns], best, best_point, second)
    return best, best_point, second


def quantised(stored: np.ndarray, half: bool, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows in int8 (F, D), and the scale (F,) float32 of each."""
    values, scale = np.empty((len(rows), stored.shape[1]), np.int8), np.empty(len(rows), np.float32)

    def work(part: slice) -> None:
        quantise_rows(stored, half, rows[part], values[part], scale[part])

    on_threads(work, _parts(len(rows), 1 << 16))
    return values, scale


def best_columns(queries: np.ndarray, values: np.ndarray, scale: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The best row (Q, KEPT) int32 of each of the most similar points, best first, -1 = none.

    queries (Q, D) float32; values (F, D), scale: as `quantised` gives them; point (F,) int32 of each row.
    """
    import torch  # takes a second: only where it is used

    kept = np.full((len(queries), KEPT), -np.inf, np.float32)
    column, kept_point = np.full((2, len(queries), KEPT), -1, np.int32)
    theirs = torch.from_numpy(values)
    ours = torch.from_numpy(quantised(queries, False, np.arange(len(queries)))[0])  # a query's scale orders nothing

    def work(part: slice) -> None:
        num = part.stop - part.start
        sums = torch.empty(num * ROWS, dtype=torch.int32)
        with one_torch_thread:
            for at in range(0, len(values), ROWS):
                block = slice(at, min(at + ROWS, len(values)))
                product = sums[: num * (block.stop - at)].view(num, -1)
                torch._int_mm(ours[part], theirs[block].T, out=product)
                keep_best_points(
                    product.numpy(), scale[block], point[block], at, kept[part], column[part], kept_point[part]
                )

    on_threads(work, _parts(len(queries), QUERIES))
    return column


@functools.cache
def computes_int8() -> bool:
    """Whether the processor has instructions for sums of int8 products; without them float32 is faster."""
    info = pathlib.Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.is_file() else []
    return any(name in flags for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def _parts(num: int, largest: int) -> list[slice]:
    """Slices of like size, no larger than this, and one for each thread at least."""
    return sliced(num, max(-(-num // largest), allowed_threads())) if num else []
