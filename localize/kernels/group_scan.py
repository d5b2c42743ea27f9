"""Exact search by torch on a GPU: the largest similarity of each group of items, then the items of the best groups.

A query's best item lies in the group with the largest maximum, and its best item of another point in this group or in
one of the next. So a block of the product, while it is in the GPU's cache, is read once to reduce it 64 times, and
nothing has to be sorted or fused by hand. The same runs on a CPU, slowly, where the tests compare it.
"""

from dataclasses import dataclass

import numpy as np
import torch

GROUP = 64  # items
BEST = 8  # groups of a query that are looked into; rounding to 11 bits moves few maxima by more than a rank or two
PRODUCT = 1 << 24  # similarities at a time: 32 MB in float16
MAXIMA = 1 << 29  # of groups in memory at a time
LOOKED_INTO = 1 << 15  # items gathered at a time: 32 MB in float32 at 256-D


@dataclass(frozen=True, eq=False)
class Held:
    """Items on a device, those of a point next to one another, filled up with zeros to whole groups."""

    values: torch.Tensor  # (G * GROUP, D) float16 or float32
    point: torch.Tensor  # (G * GROUP,) int32, -1 = filled up

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.point) // GROUP


def hold(descriptors: np.ndarray, point: np.ndarray, device: str, dtype: torch.dtype) -> Held:
    """Descriptors (N, D) of points (N,) on the device; torch.OutOfMemoryError if it is too small."""
    size = -(-len(point) // GROUP) * GROUP
    values = torch.zeros((size, descriptors.shape[1]), dtype=dtype, device=device)
    points = np.full(size, -1, np.int32)
    order = np.argsort(point, kind="stable")
    points[: len(order)] = point[order]
    step = 1 << 18
    for at in range(0, len(order), step):
        part = np.asarray(descriptors[order[at : at + step]])
        values[at : at + len(part)] = torch.from_numpy(part).to(device)
    return Held(values, torch.from_numpy(points).to(device))


@torch.inference_mode()
def scan_groups(held: Held, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest similarity (Q,) float32, its point (Q,) int32, and the largest similarity of any other point (Q,).

    queries (Q, D) float32. -inf: no other point. Ties go to the smaller point, among those of BEST groups. The groups
    are chosen in the precision of what is held; similarities are sums in float32 of its products with the queries.
    """
    best, second = np.empty((2, len(queries)), np.float32)
    point = np.empty(len(queries), np.int32)
    ours = torch.from_numpy(queries).to(held.values.device)
    step = max(1, MAXIMA // held.num_groups)
    for at in range(0, len(queries), step):
        groups = best_groups(held, ours[at : at + step])
        deep = max(1, LOOKED_INTO // (groups.shape[1] * GROUP))
        parts = zip(ours[at : at + step].split(deep), groups.split(deep), strict=True)
        found = zip(*(_look_into(held, *part) for part in parts), strict=True)
        part = slice(at, at + step)
        best[part], point[part], second[part] = (torch.cat(f).cpu().numpy() for f in found)
    return best, point, second


def best_groups(held: Held, queries: torch.Tensor) -> torch.Tensor:
    """The groups (Q, up to BEST) int64 with the largest similarities to queries (Q, D), in no order."""
    num, dtype, device = len(queries), held.values.dtype, held.values.device
    queries = queries.to(dtype)
    maxima = torch.empty((num, held.num_groups), dtype=dtype, device=device)
    step = max(1, PRODUCT // (num * GROUP))
    buffer = torch.empty(num * min(step, held.num_groups) * GROUP, dtype=dtype, device=device)
    for at in range(0, held.num_groups, step):
        values = held.values[at * GROUP : (at + step) * GROUP]
        product = torch.mm(queries, values.T, out=buffer[: num * len(values)].view(num, -1))
        torch.amax(product.view(num, -1, GROUP), 2, out=maxima[:, at : at + step])
    return maxima.topk(min(BEST, held.num_groups), dim=1, sorted=False).indices


def _look_into(held: Held, queries: torch.Tensor, groups: torch.Tensor):
    """Largest similarity, its point, and the largest of other points, among the items of each query's groups."""
    items = (groups[:, :, None] * GROUP + torch.arange(GROUP, device=groups.device)).flatten(1)
    point = held.point[items]
    similarity = torch.bmm(held.values[items].float(), queries[:, :, None])[:, :, 0]
    similarity.masked_fill_(point < 0, -torch.inf)
    best = similarity.amax(1, keepdim=True)
    its_point = torch.where(similarity == best, point, torch.iinfo(torch.int32).max).amin(1, keepdim=True)
    second = similarity.masked_fill(point == its_point, -torch.inf).amax(1)
    return best[:, 0], its_point[:, 0], second
