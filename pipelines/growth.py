"""What became of a map that grew, in words and as a file."""

import json
import pathlib
import time
from dataclasses import asdict, dataclass, field

import localize
from localize.io.text import write_poses, write_text
from localize.localizer import Localizer
from localize.pipelines.kept_map import OpenedMap
from localize.stages import StageRecord, Workbench
from localize.types import Pose

SHOWN = 10  # photos of one kind in the summary


@dataclass(frozen=True, eq=False)
class Growth:
    """A map that was made of another one, and what happened."""

    localizer: Localizer
    folder: pathlib.Path
    unit: str
    added: dict[str, Pose]  # new references
    confidence: dict[str, float | None]  # of each one's first pose
    left_out: dict[str, str]  # photos that are no references of the new map, and why
    removed: tuple[str, ...]
    references: tuple[int, int]  # before and after
    points: tuple[int, int]  # before and after
    seconds: float
    stages: list[StageRecord]
    figures: dict = field(default_factory=dict)  # of what was done, for results.json
    told: tuple[str, ...] = ()  # what else happened, one sentence each
    notes: tuple[str, ...] = ()  # what to mind

    @property
    def reused(self) -> tuple[int, int]:
        """Results that came from the store, and all results that were asked for."""
        reused, computed = (sum(getattr(stage, what) for stage in self.stages) for what in ("reused", "computed"))
        return reused, reused + computed

    @property
    def summary(self) -> str:
        """For the terminal."""
        (before, after), (points, more), (reused, asked) = self.references, self.points, self.reused
        told = f"{len(self.added)} references were added"
        told += f", {len(self.removed)} removed" if self.removed else ""
        told += f", {len(self.left_out)} photos left out" if self.left_out else ""
        lines = [
            f"{told}: {after} references instead of {before}, {more} points instead of {points}.",
            *(f"{sentence}." for sentence in self.told),
            *(f"Mind: {note}." for note in self.notes),
            *(f"Left out: {name}: {why}" for name, why in list(self.left_out.items())[:SHOWN]),
        ]
        if len(self.left_out) > SHOWN:
            lines.append(f"and {len(self.left_out) - SHOWN} more, named in results.json under left_out")
        share = 100 * reused / max(1, asked)
        lines.append(f"{self.seconds:.0f} s; {reused} of {asked} results ({share:.0f} %) came from the store.")
        return "\n".join(lines)

    def write(self, output: str) -> str:
        """poses.txt of the new references, results.json and summary.txt in a folder; returns what to say."""
        folder = pathlib.Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        write_poses(folder / "poses.txt", self.added)
        results = {
            "localize": localize.__version__,
            "map": str(self.folder),
            "unit": self.unit,
            "references_before_after": self.references,
            "points_before_after": self.points,
            "added": self.confidence,
            "left_out": self.left_out,
            "removed": self.removed,
            **self.figures,
            "told": self.told,
            "notes": self.notes,
            "seconds": self.seconds,
            "reused_of_all": self.reused,
            "stages": [asdict(stage) for stage in self.stages],
        }
        write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
        write_text(folder / "summary.txt", self.summary + "\n")
        where = f"The map is in {self.folder}; open it with localize.Localizer.load({str(self.folder)!r})."
        return f"{self.summary}\n{where} results.json and the new poses are in {output}."


def grown(
    bench: Workbench, opened: OpenedMap, localizer: Localizer, folder, start: float, removed=(), **fields
) -> Growth:
    """The record of what became of a map."""
    return Growth(
        localizer=localizer,
        folder=pathlib.Path(folder).expanduser().absolute(),
        unit=opened.references.unit,
        removed=tuple(removed),
        references=(len(opened.digests), len(localizer.references)),
        points=(opened.num_points, len(localizer.rows.points)),
        seconds=time.perf_counter() - start,
        stages=bench.records,
        **fields,
    )
