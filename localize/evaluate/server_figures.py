"""A benchmark's table that is finished, and what its server gave back put into it, each figure under its own bounds."""

import json
import pathlib
from dataclasses import replace

from localize.evaluate.benchmark_table import BenchmarkTable, Cells, Column, Row, ServerFigures
from localize.evaluate.published import NIGHT, STANDARD, TAGS
from localize.types import InputError

Triples = dict[str, tuple[float, float, float]]  # percent, by condition
CONDITIONS = {  # what the server judges, by how a table's title begins
    "Aachen Day-Night": ("day", "night"),
    "RobotCar Seasons": (
        *("dawn", "dusk", "OC-summer", "OC-winter", "rain", "snow", "sun", "night", "night-rain", "day all"),
        "night all",
    ),
}
BOUNDS = {"since_2020": {}, "before_2020": {"night": NIGHT}}  # of the server, where they are not STANDARD


def table_of(folder: pathlib.Path) -> tuple[dict, BenchmarkTable]:
    """All that table.json of a run holds, and the table in it; InputError if there is none that can be read."""
    path = folder / "table.json"
    try:
        found = json.loads(path.read_text())
        return found, _table(found["table"])
    except OSError as e:
        raise InputError(
            f"{path} cannot be read ({e.strerror}): pipeline.run is the folder of a finished +table=aachen or robotcar"
        ) from e
    except (ValueError, TypeError, KeyError) as e:
        raise InputError(f"{path} is no table of +table=aachen or robotcar ({e!r}): make the table again") from e


def problems_of(results: Triples, conditions: tuple[str, ...]) -> list[str]:
    """What cannot be true of percentages that a server of these conditions gives, a sentence each."""
    problems = []
    for name, values in results.items():
        shown = f"{name} {' / '.join(f'{v:g}' for v in values)}"
        if name not in conditions:
            problems.append(f"{name} is no condition of this table; those are {', '.join(conditions)}")
        elif not all(0 <= v <= 100 for v in values):
            problems.append(f"{shown}: a percentage lies between 0 and 100")
        elif list(values) != sorted(values):
            problems.append(f"{shown} falls, but looser bounds let no query out: give them from the tightest on")
    return problems


def impossible(results: Triples, counts: dict[str, int]) -> list[str]:
    """Which figures no whole number of a condition's queries makes, to the one decimal that the server gives."""
    wrong = []
    for name, values in results.items():
        n = counts.get(TAGS.get(name, name), 0)
        odd = [v for v in values if n and min(abs(100 * k / n - v) for k in range(n + 1)) > 0.0501]
        wrong += [f"{name} {v:g} % is no whole number of its {n} queries" for v in odd]
    return wrong


def entered(
    table: BenchmarkTable, method: str, seed: int, results: Triples, date: str, night: str = "since_2020"
) -> BenchmarkTable:
    """The table with these results of a row and seed, in place of earlier ones.

    A condition whose column has other bounds than the server's, or none, gets a column of its own.
    """
    wanted = {name: BOUNDS[night].get(name, STANDARD) for name in results}
    columns = list(table.columns)
    at = {}
    for name, bounds in wanted.items():
        tag = TAGS.get(name, name)
        same = [i for i, c in enumerate(columns) if c.tag == tag and c.thresholds == bounds]
        if not same:
            taken = any(c.name == name for c in columns)
            columns.append(Column(f"{name} {night}".replace("_", " ") if taken else name, tag, bounds))
        at[name] = same[0] if same else len(columns) - 1
    cells: list = [None] * len(columns)
    for name, values in results.items():
        cells[at[name]] = values
    rows = [_widened(row, len(columns)) for row in table.rows]
    i = next(i for i, row in enumerate(rows) if row.method == method)
    others = [given for given in rows[i].server if given.seed != seed]
    server = sorted([*others, ServerFigures(seed, date, tuple(cells))], key=lambda given: given.seed)
    rows[i] = replace(rows[i], server=tuple(server))
    note = "From the server: entered from what visuallocalization.net gave back, not measured here."
    notes = table.notes if note in table.notes else (note, *table.notes)
    return replace(table, columns=tuple(columns), rows=tuple(rows), notes=notes)


def _widened(row: Row, num: int) -> Row:
    """The row with nothing in the columns that are new."""

    def wide(cells: Cells) -> Cells:
        return (*cells, *[None] * (num - len(cells)))

    server = tuple(replace(given, cells=wide(given.cells)) for given in row.server)
    published = None if row.published is None else wide(row.published)
    return replace(row, ours=tuple(map(wide, row.ours)), published=published, server=server)


def _table(found: dict) -> BenchmarkTable:
    """The table of its fields, as JSON keeps them."""
    columns = [
        Column(**c | {"thresholds": tuple(map(tuple, c["thresholds"])), "figures": tuple(c["figures"])})
        for c in found["columns"]
    ]
    rows = []
    for row in found["rows"]:
        server = tuple(ServerFigures(**given | {"cells": _cells(given["cells"])}) for given in row.get("server", ()))
        published = None if row["published"] is None else _cells(row["published"])
        ours = tuple(map(_cells, row["ours"]))
        rows.append(Row(**row | {"ours": ours, "published": published, "server": server}))
    return BenchmarkTable(**found | {"columns": tuple(columns), "rows": tuple(rows), "notes": tuple(found["notes"])})


def _cells(found: list) -> Cells:
    return tuple(None if cell is None else tuple(cell) for cell in found)
