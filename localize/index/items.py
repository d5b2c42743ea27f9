"""What an index holds: every observation of the map, or one mean descriptor per 3D point."""

import concurrent.futures
from dataclasses import dataclass

import numpy as np

from localize.kernels.point_sums import add_rows, count_rows
from localize.types import PointRows
from localize.types.checks import check_array, check_range

ITEMS = ("mean", "all")
SUM_BYTES = 1 << 30  # of sums in memory at a time; each block of them is one pass over the rows
BLOCK = 1 << 16  # items normalised at a time


@dataclass(frozen=True, eq=False)
class Items:
    """Descriptors to index, and the 3D point each one stands for."""

    descriptors: np.ndarray  # (N, D) float16 or float32, unit length
    point: np.ndarray  # (N,) int32

    def __post_init__(self):
        check_array(self, "point", np.int32, (len(check_array(self, "descriptors", None, (None, None))),))

    def check_rows(self, rows: PointRows) -> None:
        """See `index.base.FitsRows`."""
        check_range(self, "point", 0, len(rows.points))
        if self.descriptors.shape[1] != rows.descriptors.shape[1]:
            raise ValueError("the items have descriptors of another length than the map")


def index_items(rows: PointRows, items: str, workers: int = 1) -> Items:
    """`all`: the map's rows as they are; `mean`: the points' normalised means."""
    return point_means(rows, workers) if items == "mean" else Items(rows.descriptors, rows.point)


def point_means(rows: PointRows, workers: int = 1) -> Items:
    """The normalised mean of each point's rows in float16, for the points that have any, in ascending order.

    Besides the result this takes SUM_BYTES and a few bytes per point, however many rows there are; these are read in
    the order in which they lie. The number of workers does not change the result.
    """
    point = np.asarray(rows.point)
    counts = np.zeros(len(rows.points), np.int32)
    count_rows(point, counts)
    present = np.flatnonzero(counts).astype(np.int32)
    item_of_point = np.zeros(len(counts), np.int32)
    item_of_point[present] = np.arange(len(present), dtype=np.int32)
    half = rows.descriptors.dtype == np.float16
    stored = np.asarray(rows.descriptors).view(np.uint16) if half else np.asarray(rows.descriptors, np.float32)
    means = np.empty((len(present), stored.shape[1]), np.float16)
    step = max(1, SUM_BYTES // (4 * stored.shape[1]))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(present), step):
            sums = np.zeros((min(step, len(present) - first), stored.shape[1]), np.float32)
            jobs = [
                pool.submit(add_rows, stored, half, point, item_of_point, first, part, workers, sums)
                for part in range(workers)
            ]
            for job in jobs:
                job.result()
            _normalise(sums, means[first : first + step])
    return Items(means, present)


def _normalise(sums: np.ndarray, means: np.ndarray) -> None:
    """Write sums (N, D) to means (N, D) float16, at unit length; zeros stay zeros."""
    for at in range(0, len(sums), BLOCK):
        block = sums[at : at + BLOCK]
        length = np.sqrt(np.einsum("nd,nd->n", block, block))
        means[at : at + BLOCK] = block / np.where(length > 0, length, 1)[:, None]
