"""A benchmark's table, our figures beside published ones, as text, Markdown, CSV or LaTeX."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

from localize.evaluate.tables import text_table, threshold_name

Cells = tuple[tuple[float, ...] | None, ...]  # percent at each threshold, per column; None: there is no such figure
WIDTH = 120  # characters of a line of text; a wider table is cut into blocks of columns
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
_LATEX |= {c: "\\" + c for c in "&%$#_{}"}


@dataclass(frozen=True)
class Column:
    """A condition of the benchmark."""

    name: str
    tag: str  # of our queries; all: every query
    thresholds: tuple[tuple[float, float], ...] = ()  # metres, degrees; empty: the scene's own


@dataclass(frozen=True)
class Row:
    """A method: what we found with it, what was published for it, or both."""

    method: str
    ours: tuple[Cells, ...] = ()  # of each seed
    missing: str = ""  # stands in the place of our figures, in a word or two
    reason: str = ""  # why there are none, in a sentence
    published_as: str = ""
    published: Cells | None = None


@dataclass(frozen=True)
class BenchmarkTable:
    """All that is printed."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """Why figures are missing, rows with the same reason together, and the notes."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.missing:
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


def as_text(table: BenchmarkTable) -> str:
    """For a terminal: aligned columns, in blocks of columns where they are too wide."""
    lines = _lines(table)
    labels = [f"{line.method}, {line.figures}" for line in lines]
    texts = [line.texts(table.columns) for line in lines]
    names = [column.name for column in table.columns]
    widths = [2 + max(map(len, column)) for column in zip(names, *texts, strict=True)]
    room = WIDTH - max(map(len, labels))
    num_blocks = 1 if sum(widths) <= room else -(-len(names) // max(1, room // max(widths)))
    size = -(-len(names) // num_blocks)
    blocks = [
        text_table(["", *names[i : i + size]], [[a, *t[i : i + size]] for a, t in zip(labels, texts, strict=True)])
        for i in range(0, len(names), size)
    ]
    parts = [f"{table.title}\n{_measure(table)}", *blocks, "\n".join(table.remarks)]
    return "\n\n".join(p for p in parts if p) + "\n"


def as_markdown(table: BenchmarkTable) -> str:
    """A table of GitHub's Markdown, the remarks as a list beneath."""
    header = ["method", "figures", *(column.name for column in table.columns)]
    rows = [header, ["---", "---", *["---:"] * len(table.columns)]]
    rows += [[line.method, line.figures, *line.texts(table.columns)] for line in _lines(table)]
    grid = "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)
    remarks = "\n".join(f"- {remark}" for remark in table.remarks)
    return f"{table.title} {_measure(table)}\n\n{grid}\n" + (f"\n{remarks}\n" if remarks else "")


def as_csv(table: BenchmarkTable) -> str:
    """One column of numbers for each condition and threshold, empty where there is none; `remark` says why."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [[f"{c.name} {threshold_name(t)}" for t in c.thresholds] for c in table.columns]
    writer.writerow(["method", "figures", *(name for of_column in names for name in of_column), "remark"])
    for line in _lines(table):
        cells = line.cells or (None,) * len(names)
        filled = [cell or [""] * len(of_column) for cell, of_column in zip(cells, names, strict=True)]
        numbers = [v if v == "" else round(v, 2) for cell in filled for v in cell]
        writer.writerow([line.method, line.figures, *numbers, line.reason])
    return out.getvalue()


def as_latex(table: BenchmarkTable) -> str:
    """A tabular for the package booktabs; what is said about the table stands in comments."""
    rows = [["Method", "Figures", *(column.name for column in table.columns)]]
    rows += [[line.method, line.figures, *line.texts(table.columns)] for line in _lines(table)]
    head, *body = (" & ".join("--" if c == "-" else escaped(c) for c in row) + r" \\" for row in rows)
    lines = [
        *(f"% {text}" for text in (table.title, _measure(table))),
        r"\begin{tabular}{ll" + "c" * len(table.columns) + "}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(f"% {remark}" for remark in table.remarks),
    ]
    return "\n".join(lines) + "\n"


def _lines(table: BenchmarkTable) -> list[_Line]:
    """One line for our figures, or three where there are several seeds, and one for the published ones."""
    lines = []
    for row in table.rows:
        if len(row.ours) == 1:
            lines.append(_Line(row.method, "ours", row.ours[0]))
        elif row.ours:
            of_seeds = (f"mean of {len(row.ours)} seeds", _mean), ("lowest", min), ("highest", max)
            lines += [_Line(row.method, f"ours, {name}", _over_seeds(row.ours, f)) for name, f in of_seeds]
        elif row.missing:
            lines.append(_Line(row.method, "ours", None, row.missing, row.reason))
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
    groups: dict[tuple, list[str]] = {}
    for column in table.columns:
        groups.setdefault(column.thresholds, []).append(column.name)
    if () in groups:
        return "Percent of all queries within the bounds of the data set."
    bounds = [", ".join(map(threshold_name, thresholds)) for thresholds in groups]
    if len(groups) > 1:
        bounds = [f"{b} ({', '.join(names)})" for b, names in zip(bounds, groups.values(), strict=True)]
    return f"Percent of all queries within {'; '.join(bounds)}."


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return re.sub(r"[\\~^<>&%$#_{}]", lambda found: _LATEX[found[0]], text)
