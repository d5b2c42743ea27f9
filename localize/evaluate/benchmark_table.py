"""A benchmark's table, our figures beside published ones, as text, Markdown, CSV or LaTeX."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from localize.evaluate.grids import WIDTH, Grid, as_csv, as_latex, as_markdown
from localize.evaluate.tables import text_table, threshold_name

Cells = tuple[tuple[float, ...] | None, ...]  # percent, for each of a column's numbers; None: there is no such figure


@dataclass(frozen=True)
class Column:
    """A condition of the benchmark."""

    name: str
    tag: str  # of our queries; all: every query
    thresholds: tuple[tuple[float, float], ...] = ()  # metres, degrees; empty: the scene's own
    figures: tuple[str, ...] = ()  # what the numbers are, where they are not of thresholds

    @property
    def numbers(self) -> tuple[str, ...]:
        """What each number of a cell is."""
        return self.figures or tuple(map(threshold_name, self.thresholds))


@dataclass(frozen=True)
class ServerFigures:
    """What the benchmark's server gave back for a submission of ours."""

    seed: int
    entered: str  # the date, as 2026-11-30
    cells: Cells


@dataclass(frozen=True)
class Row:
    """A method: what we found with it, what was published for it, or both."""

    method: str
    ours: tuple[Cells, ...] = ()  # of each seed
    missing: str = ""  # stands in the place of our figures, in a word or two
    reason: str = ""  # why there are none, in a sentence
    published_as: str = ""
    published: Cells | None = None
    server: tuple[ServerFigures, ...] = ()  # one for each seed that was submitted; they stand for what is missing


@dataclass(frozen=True)
class BenchmarkTable:
    """All that is printed."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    measure: str = ""  # what the numbers are; "": recall at the columns' thresholds

    @property
    def remarks(self) -> list[str]:
        """Why figures are missing, rows with the same reason together, and the notes."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.missing and not row.server:
                reasons.setdefault(" ".join(f"{row.missing}: {row.reason}".split()), []).append(row.method)
        return [f"{', '.join(methods)}: {reason}" for reason, methods in reasons.items()] + list(self.notes)


@dataclass(frozen=True)
class _Line:
    method: str
    figures: str
    cells: Cells | None
    missing: str = ""
    reason: str = ""

    def texts(self, columns: tuple[Column, ...]) -> list[str]:
        """`75.0 / 92.4 / 99.3` for each column."""
        if self.cells is None:
            return [self.missing] * len(columns)
        return ["-" if cell is None else " / ".join(f"{v:.1f}" for v in cell) for cell in self.cells]


def texts(table: BenchmarkTable) -> dict[str, str]:
    """The table in every format, by the suffix of its file."""
    return {
        "txt": _as_text(table),
        "md": as_markdown([_words(table, "method", "figures")]),
        "csv": as_csv([_numbers(table)]),
        "tex": as_latex([_words(table, "Method", "Figures")]),
    }


def _as_text(table: BenchmarkTable) -> str:
    """For a terminal: aligned columns, in blocks of columns where they are too wide."""
    lines = _lines(table)
    labels = [f"{line.method}, {line.figures}" for line in lines]
    cells = [line.texts(table.columns) for line in lines]
    names = [column.name for column in table.columns]
    widths = [2 + max(map(len, column)) for column in zip(names, *cells, strict=True)]
    room = WIDTH - max(map(len, labels))
    num_blocks = 1 if sum(widths) <= room else -(-len(names) // max(1, room // max(widths)))
    size = -(-len(names) // num_blocks)
    blocks = [
        text_table(["", *names[i : i + size]], [[a, *t[i : i + size]] for a, t in zip(labels, cells, strict=True)])
        for i in range(0, len(names), size)
    ]
    parts = [f"{table.title}\n{_measure(table)}", *blocks, "\n".join(table.remarks)]
    return "\n\n".join(p for p in parts if p) + "\n"


def _words(table: BenchmarkTable, method: str, figures: str) -> Grid:
    """The table as it is printed, its first two columns under these names."""
    return Grid(
        name="",
        title=f"{table.title}\n{_measure(table)}",
        header=(method, figures, *(column.name for column in table.columns)),
        rows=tuple((line.method, line.figures, *line.texts(table.columns)) for line in _lines(table)),
        notes=tuple(table.remarks),
        align="ll" + "c" * len(table.columns),
    )


def _numbers(table: BenchmarkTable) -> Grid:
    """A column for each number of each condition; `remark` says why there is no figure."""
    names = [[f"{c.name} {number}" for number in c.numbers] for c in table.columns]
    rows = []
    for line in _lines(table):
        cells = line.cells or (None,) * len(names)
        filled = [cell or [None] * len(of_column) for cell, of_column in zip(cells, names, strict=True)]
        numbers = [None if v is None else round(v, 2) for cell in filled for v in cell]
        rows.append((line.method, line.figures, *numbers, line.reason))
    return Grid("", table.title, ("method", "figures", *itertools.chain(*names), "remark"), tuple(rows))


def _lines(table: BenchmarkTable) -> list[_Line]:
    """One line for our figures, or three where there are several seeds, and one for the published ones."""
    lines = []
    for row in table.rows:
        if len(row.ours) == 1:
            lines.append(_Line(row.method, "ours", row.ours[0]))
        elif row.ours:
            of_seeds = (f"mean of {len(row.ours)} seeds", _mean), ("lowest", min), ("highest", max)
            lines += [_Line(row.method, f"ours, {name}", _over_seeds(row.ours, f)) for name, f in of_seeds]
        elif row.missing and not row.server:
            lines.append(_Line(row.method, "ours", None, row.missing, row.reason))
        for given in row.server:
            seed = f", seed {given.seed}" if len(row.server) > 1 else ""
            lines.append(_Line(row.method, f"ours, from the server, entered {given.entered}{seed}", given.cells))
        if row.published is not None:
            lines.append(_Line(row.published_as, "published", row.published))
    return lines


def _over_seeds(ours: tuple[Cells, ...], summary: Callable) -> Cells:
    columns = zip(*ours, strict=True)
    return tuple(None if None in cells else tuple(map(summary, zip(*cells, strict=True))) for cells in columns)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _measure(table: BenchmarkTable) -> str:
    """What the numbers are."""
    if table.measure:
        return table.measure
    groups: dict[tuple, list[str]] = {}
    for column in table.columns:
        groups.setdefault(column.thresholds, []).append(column.name)
    if () in groups:
        return "Percent of all queries within the bounds of the data set."
    bounds = [", ".join(map(threshold_name, thresholds)) for thresholds in groups]
    if len(groups) > 1:
        bounds = [f"{b} ({', '.join(names)})" for b, names in zip(bounds, groups.values(), strict=True)]
    return f"Percent of all queries within {'; '.join(bounds)}."
