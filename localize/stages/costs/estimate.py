"""What a run is to cost, told before it begins."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localize.evaluate.tables import text_table
from localize.mapping.base import MapImport
from localize.stages.costs.foreseen import Foreseen, foresee
from localize.stages.costs.machine import Machine, this_machine
from localize.stages.costs.predicted import Sizes, StageCost, costs, sizes
from localize.stages.costs.trial import Rates, measure
from localize.stages.workbench import Workbench
from localize.types import Scene

if TYPE_CHECKING:
    from localize.roles import Components

SHORT_S = 600  # a run below is told in one line
FULL = 0.9  # of the free memory or disk: a run that takes more is warned of
GB = 1024  # MB


@dataclass(frozen=True)
class Estimate:
    """The costs of a run's stages, beside the machine. Within a factor of two where rates could be measured."""

    stages: tuple[StageCost, ...]  # none: nothing could be measured, as of a few photos
    machine: Machine
    warnings: tuple[str, ...] = ()  # what does not fit, and what to change

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def memory_mb(self) -> float:
        """Of the stage that takes most."""
        return max((stage.memory_mb for stage in self.stages), default=0.0)

    @property
    def disk_mb(self) -> float:
        """That the store grows by."""
        return sum(stage.disk_mb for stage in self.stages)

    @property
    def line(self) -> str:
        """The totals."""
        if not self.stages:
            return "too few photos to measure what they cost"
        if not any(stage.items > stage.stored for stage in self.stages):
            return "all results are in the store"
        machine = self.machine
        return (
            f"about {duration(self.seconds)} on {machine.workers} worker{'s' * (machine.workers > 1)}, "
            f"{size(self.memory_mb)} of memory ({size(machine.memory_mb)} free), {size(self.disk_mb)} of disk "
            f"({size(machine.disk_mb)} free)"
        )

    @property
    def text(self) -> str:
        """A table of the stages, with the totals beneath."""
        rows = [
            [
                *(s.name, f"{s.items:,}", f"{s.stored:,}"),
                *((duration(s.seconds), size(s.memory_mb), size(s.disk_mb)) if s.items > s.stored else "---"),
            ]
            for s in self.stages
        ]
        table = text_table(["stage", "items", "in the store", "time", "memory", "disk"], rows)
        return f"{table}\n{self.line}" if rows else self.line

    @property
    def told(self) -> str:
        """What is said before a run: one line of a short one, else the table; nothing where nothing was measured."""
        if not self.stages or not any(stage.items > stage.stored for stage in self.stages):
            return ""
        return self.line if self.seconds < SHORT_S and not self.warnings else f"what is to come:\n{self.text}"

    def as_json(self) -> dict:
        """For results.json, beside what happened."""
        total = {name: getattr(self, name) for name in ("seconds", "memory_mb", "disk_mb")}
        stages = [dataclasses.asdict(stage) for stage in self.stages]
        return {"total": total, "stages": stages, "machine": dataclasses.asdict(self.machine)}


def estimate(
    bench: Workbench, use: "Components", scene: Scene, *, describe: bool = False, queries: bool = True, runs: int = 1
) -> Estimate:
    """What the run is to cost.

    Where the store has nothing of it, a few photos and pairs are tried first, and kept. describe: whether references
    get global descriptors also where nothing asks for them; queries: whether they are localized, `runs` times.
    """
    with _silent():
        foreseen = foresee(bench, use, scene, describe=describe or use.compares_photos, queries=queries)
        rates = measure(bench, use, scene, foreseen)
        if bench.records:  # the trial's results are in the store by now
            foreseen = foresee(bench, use, scene, describe=describe or use.compares_photos, queries=queries)
    machine = this_machine(bench.store.root, bench.workers)
    if rates is None:
        return Estimate((), machine)
    of_map = sizes(use, foreseen, rates, scene.supplied)
    stages = costs(use, foreseen, rates, of_map, machine, runs=runs)
    return Estimate(tuple(stages), machine, tuple(_warnings(use, foreseen, rates, of_map, stages, machine)))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """What is found on the way will be said by the run itself."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _warnings(
    use: "Components", foreseen: Foreseen, rates: Rates, of_map: Sizes, stages: list[StageCost], machine: Machine
) -> Iterator[str]:
    """One sentence for the memory and one for the disk, if they do not suffice, with what would help and how much."""

    def otherwise(by: Rates = rates, on: Machine = machine) -> list[StageCost]:
        share = by.keypoints / rates.keypoints
        smaller = Sizes(of_map.observations * share, of_map.points * share, of_map.references)
        return costs(use, foreseen, by, smaller, on)

    half = dataclasses.replace(rates, keypoints=rates.keypoints / 2, photo_mb=rates.photo_mb / 2)
    fewer = f"feature.max_keypoints={rates.keypoints / 2:.0f}" if hasattr(use.feature, "max_keypoints") else ""
    worst = max(stages, key=lambda stage: stage.memory_mb)
    if worst.memory_mb > FULL * machine.memory_mb:
        changes = []
        if worst.name.endswith("_features") and machine.workers > 1:
            alone = dataclasses.replace(machine, workers=1)
            changes.append(f"workers=1 ({size(_peak(otherwise(on=alone)))})")
        elif fewer and not isinstance(use.mapping, MapImport):
            changes.append(f"{fewer} ({size(_peak(otherwise(half)))})")
        if worst.name == "index":
            rest = size(max(s.memory_mb for s in stages if s.name != "index"))
            changes.append(f"search=frames, which needs no index ({rest})")
        changes += ["fewer references, such as a part of the data set, at once", "a machine with more memory"]
        yield (
            f"the memory will not suffice: {worst.name} is to take {size(worst.memory_mb)}, and "
            f"{size(machine.memory_mb)} are free; take {'; or '.join(changes)}"
        )
    disk_mb = sum(stage.disk_mb for stage in stages)
    if disk_mb > FULL * machine.disk_mb:
        changes = ["store.root=... on a disk with more space"]
        if fewer:
            changes.append(f"{fewer} ({size(sum(s.disk_mb for s in otherwise(half)))})")
        largest = max(stages, key=lambda stage: stage.disk_mb)
        yield (
            f"the disk will not suffice: the store is to grow by {size(disk_mb)}, of which {largest.name} "
            f"{size(largest.disk_mb)}, and {size(machine.disk_mb)} are free; take {'; or '.join(changes)}"
        )


def _peak(stages: list[StageCost]) -> float:
    return max(stage.memory_mb for stage in stages)


def duration(seconds: float) -> str:
    """In the unit that a person would take."""
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds" if seconds >= 1.5 else "1 second"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def size(mb: float) -> str:
    """In MB or GB."""
    return f"{mb:.0f} MB" if mb < GB else f"{mb / GB:.1f} GB"
