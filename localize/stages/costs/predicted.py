"""From counts and rates to the seconds, memory and disk of each stage."""

import math
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localize.mapping.base import MapImport
from localize.stages.costs import constants as c
from localize.stages.costs.foreseen import Foreseen, Stage
from localize.stages.costs.machine import MB, Machine
from localize.stages.costs.trial import Rates
from localize.types import ModelFiles

if TYPE_CHECKING:
    from localize.roles import Components


@dataclass(frozen=True)
class StageCost:
    """What a stage is to cost: only items that are not in the store do."""

    name: str
    items: int
    stored: int
    seconds: float
    memory_mb: float  # at its peak, of this process and its workers
    disk_mb: float  # in the store


@dataclass(frozen=True)
class Sizes:
    """How large the map will be."""

    observations: float
    points: float
    references: int


def sizes(use: "Components", foreseen: Foreseen, rates: Rates, supplied: ModelFiles | None) -> Sizes:
    """Of the map: from the supplied model's files, or from the matches of the pairs that were tried."""
    references = len(foreseen.references.images)
    if isinstance(use.mapping, MapImport):
        observations = min(in_model(pathlib.Path(supplied.model)), references * rates.keypoints)
    else:
        partners = 2 * foreseen.stage("pair_matches").items / max(1, references)
        share = -math.expm1(-c.AGREEING * partners * rates.pair_matches / max(1.0, rates.keypoints))
        observations = references * rates.keypoints * share
    return Sizes(observations, observations / c.TRACK, references)


def in_model(path: pathlib.Path) -> float:
    """About how many observations a model holds, by the size of its files."""
    if not path.is_dir():
        return path.stat().st_size / c.MODEL_TEXT
    tracks = (path / "points3D.bin", c.MODEL_BINARY), (path / "points3D.txt", c.MODEL_TEXT)
    return next((file.stat().st_size / size for file, size in tracks if file.is_file()), 0.0)


def costs(
    use: "Components", foreseen: Foreseen, rates: Rates, size: Sizes, machine: Machine, *, runs: int = 1
) -> list[StageCost]:
    """Of each stage. runs: how often queries are searched and solved, as by the rows of a table."""
    predict = _Predicted(use, rates, size, machine)
    return [predict.cost(stage, runs if stage.name in ("matches", "poses") else 1) for stage in foreseen.stages]


@dataclass(frozen=True)
class _Predicted:
    use: "Components"
    rates: Rates
    size: Sizes
    machine: Machine

    def cost(self, stage: Stage, runs: int) -> StageCost:
        of: Callable[[int], tuple[float, float, float]] = getattr(self, f"_{stage.name}")
        todo = stage.todo * runs
        seconds, memory_mb, disk_mb = of(todo) if todo else (0.0, 0.0, 0.0)
        memory_mb = self.rates.base_mb + memory_mb if todo else 0.0
        return StageCost(stage.name, stage.items * runs, stage.items * runs - todo, seconds, memory_mb, disk_mb)

    def _shared(self, seconds: float) -> float:
        return seconds / self.machine.workers

    def _reference_features(self, photos: int):
        rates, start = self.rates, c.START_S if self.machine.workers > 1 else 0.0
        workers = self.machine.workers * rates.worker_mb if self.machine.workers > 1 else 0.0
        held = min(c.HELD_MB, photos * rates.photo_mb)
        return start + self._shared(photos * rates.photo_s), workers + held, photos * rates.photo_mb

    _query_features = _reference_features

    def _retrieval_model(self, _: int):
        looked_at = min(self.size.references, c.LEARNED_FROM)
        return c.LEARN_S * self.machine.slowness + looked_at * self.rates.global_s, self._vectors_mb(), 0.0

    def _reference_global(self, photos: int):
        return self._shared(photos * self.rates.global_s), self._vectors_mb(), photos * self.rates.global_bytes / MB

    _query_global = _reference_global

    def _vectors_mb(self) -> float:
        return min(c.VECTORS_MB, self.size.references * self.rates.global_bytes / MB)

    def _pair_matches(self, pairs: int):
        disk = pairs * (c.PAIR_DISK[0] + c.PAIR_DISK[1] * self.rates.pair_matches) / MB
        held = min(c.HELD_MB, self.size.references * self.rates.photo_mb)
        return self._shared(pairs * self.rates.pair_s), held, disk

    def _reconstruction(self, times: int):
        photos = self.size.references
        pairs = min(photos * (photos - 1) / 2, c.SFM_PAIRS * photos * self.use.reconstruction.num_neighbours)
        seconds = self._shared(pairs * c.SFM_PAIR_S) + self.size.observations * c.SFM_S
        memory_mb = photos * self.rates.keypoints * c.SFM_BYTES / MB
        return times * seconds * self.machine.slowness, memory_mb, times * photos * self.rates.keypoints * 4 / MB

    def _map(self, _: int):
        number, seconds, held = self.size.observations, c.MAP_S, c.MAP_BYTES
        at_once = min(number, c.BLOCK * min(self.machine.workers, c.AT_ONCE)) * c.BLOCK_BYTES
        if isinstance(self.use.mapping, MapImport):
            seconds, held, at_once = c.IMPORT_S, c.IMPORT_BYTES, 0
        memory_mb = (number * held + at_once) / MB
        return number * seconds * self.machine.slowness, memory_mb, number * c.MAP_DISK / MB

    def _map_descriptors(self, _: int):
        seconds = self.size.references * c.ROWS_S * self.machine.slowness
        return seconds, self.size.observations * c.ROWS_BYTES / MB, self.rows_mb

    @property
    def rows_mb(self) -> float:
        """Of the map's rows, in a file."""
        return self.size.observations * (self.rates.descriptor_bytes + 4) / MB

    @property
    def _mapped_mb(self) -> float:
        """Of the rows in memory while something reads them."""
        return min(self.rows_mb, c.MAPPED * self.machine.memory_mb)

    def _index(self, _: int):
        points = self.size.points
        seconds = self._by_index(0) * (c.INDEX_S[0] + c.INDEX_S[1] * points) * self.machine.slowness
        return seconds, self._mapped_mb + points * c.INDEX_BYTES / MB, points * self.rates.descriptor_bytes / MB

    def _by_index(self, which: int) -> float:
        return c.BY_INDEX.get(type(self.use.index).__name__, (1, 1))[which]

    def _matches(self, queries: int):
        search, size = self.use.search, self.size
        each = 0.0
        if search.uses_leaves:
            each += self._by_index(1) * (c.LEAF_S[0] + c.LEAF_S[1] * size.points)
        if search.uses_frames:
            each += search.num_frames * size.observations / size.references * c.FRAME_S
        seconds = queries * (c.QUERY_S + self.rates.keypoints * each) * self.machine.slowness
        index_mb = size.points * self.rates.descriptor_bytes / MB if search.uses_leaves else 0.0
        return self._shared(seconds), self._mapped_mb + index_mb, queries * self._matched() * c.MATCH_DISK / MB

    def _matched(self) -> float:
        return self.rates.keypoints * c.MATCHED

    def _poses(self, queries: int):
        seconds = self._shared(queries * c.POSE_S * self.machine.slowness)
        return seconds, self._mapped_mb, queries * c.POSE_DISK / MB
