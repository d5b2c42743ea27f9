"""Descriptors of 3D points with queries whose true points are known: what a search is measured on."""

import dataclasses
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localize.evaluate.search.descriptor_model import DescriptorModel
from localize.io.records import load_record, record_to_arrays, save_array
from localize.progress import work
from localize.types import InputError, PointRows, StoreError
from localize.types.checks import check_array

ROWS_PER_IMAGE = 5000  # of the model, whose rows come in random order
BIG = ("descriptors", "point")  # written as they are drawn


@dataclass(frozen=True, eq=False)
class DescriptorSet:
    """Rows as those of a map, and queries under one or several conditions."""

    name: str  # what it is, for tables
    num_points: int
    descriptors: np.ndarray  # (M, D) float16, unit length, one row per observation
    point: np.ndarray  # (M,) int32, 0 to num_points - 1
    image_indptr: np.ndarray  # (I + 1,) int64, rows of each image
    conditions: tuple[str, ...]
    queries: np.ndarray  # (Q, D) float32, unit length
    truth: np.ndarray  # (Q,) int32, the point that a query shows
    condition: np.ndarray  # (Q,) uint8 into conditions

    def __post_init__(self):
        rows, dim = check_array(self, "descriptors", None, (None, None)).shape
        check_array(self, "point", np.int32, (rows,))
        check_array(self, "image_indptr", np.int64, (None,))
        number = len(check_array(self, "queries", np.float32, (None, dim)))
        check_array(self, "truth", np.int32, (number,))
        check_array(self, "condition", np.uint8, (number,))

    @property
    def rows(self) -> PointRows:
        """The rows; positions of points play no part and are 0."""
        return PointRows(np.zeros((self.num_points, 3)), self.descriptors, self.point, self.image_indptr)

    def asked(self, condition: str) -> tuple[np.ndarray, np.ndarray]:
        """Queries (Q, D) and true points (Q,) of one condition."""
        mine = self.condition == self.conditions.index(condition)
        return self.queries[mine], self.truth[mine]


def read_set(folder: str | pathlib.Path) -> DescriptorSet:
    """A set from its folder, memory-mapped; InputError if there is none."""
    try:
        found = load_record(pathlib.Path(folder))
    except StoreError as e:
        raise InputError(f"no set of descriptors can be read from {folder}: {e}") from e
    if not isinstance(found, DescriptorSet):
        raise InputError(f"{folder} holds a {type(found).__name__}, but no set of descriptors")
    return found


def write_model(model: DescriptorModel, folder: str | pathlib.Path, num_queries=2000, progress=False) -> DescriptorSet:
    """A set drawn from the model into a folder, as it is drawn: so many easy queries, and as many hard ones."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    num_rows = model.num_observations
    descriptors = np.lib.format.open_memmap(folder / "descriptors.npy", "w+", np.float16, (num_rows, model.dim))
    point = np.lib.format.open_memmap(folder / "point.npy", "w+", np.int32, (num_rows,))
    at = 0
    with work("descriptors", num_rows, shown=progress) as bar:
        for chunk in model.chunks():
            end = at + len(chunk.point)
            descriptors[at:end], point[at:end] = chunk.descriptors, chunk.point
            bar.update(end - at)
            at = end
    (easy, easy_truth), (hard, hard_truth) = model.queries(num_queries, False), model.queries(num_queries, True)
    found = DescriptorSet(
        name=f"{model.num_points} points of a model, {num_rows} observations",
        num_points=model.num_points,
        descriptors=descriptors,
        point=point,
        image_indptr=np.unique([*range(0, num_rows, ROWS_PER_IMAGE), num_rows]),
        conditions=("easy", "hard"),
        queries=np.concatenate([easy, hard]),
        truth=np.concatenate([easy_truth, hard_truth]),
        condition=np.repeat([0, 1], [len(easy), len(hard)]),
    )
    arrays, text = record_to_arrays(found)
    for name in set(arrays) - set(BIG):
        save_array(folder / f"{name}.npy", arrays[name])
    (folder / "record.json").write_text(text)
    return read_set(folder)


def joined(sets: Sequence[DescriptorSet], name: str) -> DescriptorSet:
    """One map of several; conditions of one name become one."""
    first_point = np.cumsum([0, *(s.num_points for s in sets)])
    first_row = np.cumsum([0, *(len(s.point) for s in sets)])
    conditions = tuple(dict.fromkeys(c for s in sets for c in s.conditions))
    bounds = [s.image_indptr[1:] + k for s, k in zip(sets, first_row[:-1], strict=True)]
    codes = [np.array([conditions.index(c) for c in s.conditions], np.uint8)[s.condition] for s in sets]
    return dataclasses.replace(
        sets[0],
        name=name,
        num_points=int(first_point[-1]),
        descriptors=np.concatenate([s.descriptors for s in sets]),
        point=np.concatenate([s.point + k for s, k in zip(sets, first_point[:-1], strict=True)]).astype(np.int32),
        image_indptr=np.concatenate([[0], *bounds]),
        conditions=conditions,
        queries=np.concatenate([s.queries for s in sets]),
        truth=np.concatenate([s.truth + k for s, k in zip(sets, first_point[:-1], strict=True)]),
        condition=np.concatenate(codes),
    )


def thinned(found: DescriptorSet, num_queries: int, seed: int = 0) -> DescriptorSet:
    """The set with at most so many random queries under each condition."""
    rng = np.random.default_rng(seed)
    rank = np.empty(len(found.truth), np.int64)
    for c in range(len(found.conditions)):
        mine = np.flatnonzero(found.condition == c)
        rank[mine] = rng.permutation(len(mine))
    kept = rank < num_queries
    return dataclasses.replace(
        found, queries=found.queries[kept], truth=found.truth[kept], condition=found.condition[kept]
    )
