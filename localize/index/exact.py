"""Every item is compared: brute force, the fastest on a large GPU, and the truth other indexes are held against."""

import functools
import threading
import weakref
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, query_field
from localize.index.items import ITEMS, Items, index_items
from localize.kernels.gpu import has_gpu
from localize.kernels.rows import as_stored
from localize.kernels.scan import best_columns, compared_again, computes_int8, quantised, scan_float32
from localize.kernels.threads import available_cores
from localize.types import LEAF, InputError, Nearest, PointRows

_lock = threading.Lock()
_prepared: "weakref.WeakKeyDictionary" = weakref.WeakKeyDictionary()  # by what was built: as long as that lives


@dataclass(frozen=True)
class Exact:
    """The nearest points among all items: by numpy or torch on the processor, by torch on a GPU.

    float16, on a GPU, has bfloat16's speed there and eight times its resolution: the best groups of 64 items are chosen
    by rounded products, and their items are compared in float32. int8, on the processor: see `kernels.scan`. float32
    rounds nothing and is as fast as BLAS. Of 4,000 queries among 200,000 means, easy and hard ones, int8 gave all the
    point and the verdict of float32, similarities to 1e-6; so did float16 to 600 of them.
    """

    items: str = "mean"  # one normalised mean descriptor per point, or all observations
    device: str = query_field("auto")  # cpu, cuda, or cuda where there is one
    precision: str = query_field("auto")  # float32, float16, int8; auto: float16 on a GPU, else int8 where it is faster

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        choices = {
            "items": ITEMS,
            "device": ("auto", "cpu", "cuda"),
            "precision": ("auto", "float32", "float16", "int8"),
        }
        check_component(self, choices=choices)
        if self.device == "cuda" and self.precision == "int8":
            raise InputError("Exact.precision=int8 is for the processor: take device=cpu, or precision=float16")

    def preflight(self) -> list[str]:
        """What is missing: a GPU, where one was asked for."""
        if self.device == "cuda" and not has_gpu():
            return ["index.device is cuda, but torch sees no GPU: take index.device=auto"]
        return []

    def build(self, rows: PointRows) -> Items:
        """The means of the points; of all observations nothing, as the map has them."""
        if self.items == "all":
            return Items(rows.descriptors[:0], rows.point[:0])
        return index_items(rows, self.items, available_cores())

    def nearest(self, built: Items, rows: PointRows, descriptors: np.ndarray) -> Nearest:
        """Nearest points of descriptors (Q, D) float32. InputError if the items do not fit into the GPU's memory."""
        items = built if self.items == "mean" else Items(rows.descriptors, rows.point)
        best, point, second = self._scan(built, items)(np.ascontiguousarray(descriptors, np.float32))
        source = np.where(point >= 0, LEAF, 0).astype(np.uint8)
        return Nearest(best, point, second, source, float(len(items.point)) if len(descriptors) else 0.0)

    def _scan(self, built: Items, items: Items):
        """A function of descriptors that holds the items in the form it needs, made once for what was built."""
        on_gpu = self.device == "cuda" or (self.device == "auto" and self.precision != "int8" and has_gpu())
        precision = self.precision
        if precision == "auto":
            precision = "float16" if on_gpu else "int8" if computes_int8() else "float32"
        with _lock:
            prepared = _prepared.setdefault(built, {})
            if (on_gpu, precision) not in prepared:
                make = _on_torch if on_gpu or precision == "float16" else _on_processor
                prepared[on_gpu, precision] = make(items, "cuda" if on_gpu else "cpu", precision)
        return prepared[on_gpu, precision]


def _on_processor(items: Items, device: str, precision: str):
    stored, half = as_stored(items.descriptors)
    rows, point = np.arange(len(stored), dtype=np.int32), np.asarray(items.point)
    if precision == "float32":
        return lambda descriptors: scan_float32(descriptors, stored, half, rows, point)
    values, scale = quantised(stored, half, rows)

    def scan(descriptors: np.ndarray):
        kept = best_columns(descriptors, values, scale, point)
        return compared_again(kept, descriptors, stored, half, rows, point)

    return scan


def _on_torch(items: Items, device: str, precision: str):
    import torch

    from localize.kernels.group_scan import hold, scan_groups

    try:
        held = hold(items.descriptors, np.asarray(items.point), device, getattr(torch, precision))
    except torch.OutOfMemoryError as e:
        raise InputError(
            f"{len(items.point)} items do not fit into the GPU's memory: take index.items=mean, or index.device=cpu"
        ) from e
    return functools.partial(scan_groups, held)
