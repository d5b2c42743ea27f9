"""Published figures of the benchmarks we compare ourselves with, and which of our conditions their columns are."""

import importlib.resources
import json
from dataclasses import dataclass, field

from localize.evaluate.benchmark_table import Cells, Column
from localize.evaluate.grids import Grid
from localize.types import InputError

STANDARD = ((0.25, 2.0), (0.5, 5.0), (5.0, 10.0))  # metres, degrees
NIGHT = ((0.5, 2.0), (1.0, 5.0), (5.0, 10.0))  # Aachen's night queries in papers before June 2020
TAGS = {"OC-summer": "overcast-summer", "OC-winter": "overcast-winter"}  # column: our tag, where they differ
COUNTS = {"reference": "references", "day": "day queries", "night": "night queries"}
METHODS = {  # ours: the published row
    "RT_AP": "RT_AP+CRBNet",
    "RT": "RT+CRBNet",
    "IR": "IR+CRBNet",
    "parallel": "ParallelSearch+CRBNet",
}


@dataclass(frozen=True)
class Benchmark:
    """A table to make: its columns, and its published rows where there are any."""

    title: str
    columns: tuple[Column, ...]
    rows: dict[str, Cells] = field(default_factory=dict)
    scene: dict[str, float] = field(default_factory=dict)  # counts of references, points and queries
    notes: tuple[str, ...] = ()
    measure: str = ""  # what the figures are; "": recall at thresholds


def read_benchmark(name: str) -> Benchmark:
    """The benchmark called aachen, robotcar or minitown; InputError for another name."""
    if name == "minitown":
        columns = tuple(Column(tag, tag) for tag in ("day", "viewpoint", "night", "rain", "all"))
        return Benchmark("Minitown; no figures are published for it.", columns)
    if name == "aachen":
        today = Column("night since 2020", "night", STANDARD)  # what the server says today
        return _from_paper("Aachen Day-Night", "table3", name, {"night": NIGHT}, (today,))
    if name == "robotcar":
        return _from_paper("RobotCar Seasons", "table2", name, {})
    raise InputError(f"there is no table {name!r}; valid: aachen, minitown, robotcar")


def _from_paper(title: str, key: str, dataset: str, thresholds: dict, more: tuple[Column, ...] = ()) -> Benchmark:
    """A table of the parallel search paper; an entry is a list with three percentages for each column.

    more: columns that are ours alone.
    """
    found = _published()
    columns = tuple(Column(c, TAGS.get(c, c), thresholds.get(c, STANDARD)) for c in found[key]["columns"])
    rows = {
        name: (*(tuple(cell) for cell in cells), *[None] * len(more))
        for name, cells in found[key].items()
        if name not in ("metric", "columns", "note")
    }
    note = found[key].get("note")
    number = key.removeprefix("table")
    return Benchmark(
        title=f"{title} beside Table {number} of {found['source']}.",
        columns=(*columns, *more),
        rows=rows,
        scene={COUNTS.get(what, what): count for what, count in found["datasets"][dataset].items()},
        notes=(f"Published: {note}.",) if note else (),
    )


def read_revisited_tables(name: str) -> dict[str, Benchmark]:
    """Tables by number: dsm, the deep spatial matching paper's four; spatial_context, of smoothing and what it is in.

    Columns such as `ROxf+1M H`, mean average precision in each, or what the table says.
    """
    found = _published()[name]
    tables = {}
    for number, of in ((key.removeprefix("table"), of) for key, of in found.items() if key.startswith("table")):
        figures = of["figures"]
        tables[number] = Benchmark(
            title=f"{found['heading'].format(number=number)} {of['title']}",
            columns=tuple(Column(name, name, figures=tuple(figures)) for name in of["columns"]),
            rows={name: tuple(c if c is None else tuple(c) for c in cells) for name, cells in of["rows"].items()},
            notes=(f"Published: {of.get('names', found['names'])}.",),
            measure=of.get("measure", f"Percent: {' / '.join(figures)}; M: medium, H: hard."),
        )
    return tables


def read_patch_figures() -> Grid:
    """Table 1: FPR95 of patch descriptors on UBC PhotoTour; an entry holds the dimensions, then the columns."""
    source, found = _published()["source"], _published()["table1"]
    rows = [
        (method, kind, *figures)
        for kind, methods in (("real", found["real"]), ("bits", found["binary"]))
        for method, figures in methods.items()
    ]
    return Grid(
        "published",
        f"Published, Table 1 of {source}: {found['metric']}. Comparable only where the sets are the same.",
        ("method", "values", "dim", *found["columns"]),
        tuple(rows),
        (f"Published: {found['note']}.",),
    )


def _published() -> dict:
    return json.loads((importlib.resources.files("localize.evaluate") / "published.json").read_text())
