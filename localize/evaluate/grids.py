"""Tables of any columns, one beneath the other, as text, Markdown, CSV or LaTeX."""

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from localize.evaluate.benchmark_table import WIDTH, escaped
from localize.evaluate.tables import text_table


@dataclass(frozen=True)
class Grid:
    """One table: words to the left, numbers to the right; None where there is no figure."""

    name: str  # one word, for CSV
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    notes: tuple[str, ...] = ()


def as_text(grids: Sequence[Grid]) -> str:
    """Aligned columns, for a terminal."""
    parts = []
    for g in grids:
        header, *rows = _all_texts(g)
        notes = "\n".join(textwrap.fill(note, WIDTH, break_long_words=False) for note in g.notes)
        parts.append("\n\n".join(p for p in (textwrap.fill(g.title, WIDTH), text_table(header, rows), notes) if p))
    return "\n\n\n".join(parts) + "\n"


def as_markdown(grids: Sequence[Grid]) -> str:
    """Tables of GitHub's Markdown, the notes as lists beneath."""
    parts = []
    for g in grids:
        marks = ["---:" if _is_number(g, i) else "---" for i in range(len(g.header))]
        header, *rows = _all_texts(g)
        lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in (header, marks, *rows)]
        parts.append("\n".join([g.title, "", *lines, *([""] if g.notes else []), *(f"- {n}" for n in g.notes)]))
    return "\n\n".join(parts) + "\n"


def as_csv(grids: Sequence[Grid]) -> str:
    """One table with the columns of all, empty where a grid has none of that name; the first says which grid it is."""
    columns = list(dict.fromkeys(name for g in grids for name in g.header))
    out = io.StringIO()
    writer = csv.DictWriter(out, ["table", *columns], restval="", lineterminator="\n")
    writer.writeheader()
    for g in grids:
        for row in g.rows:
            cells = [round(c, 4) if isinstance(c, float) else c for c in row]
            writer.writerow({"table": g.name, **dict(zip(g.header, cells, strict=True))})
    return out.getvalue()


def as_latex(grids: Sequence[Grid]) -> str:
    """Tabulars for the package booktabs; titles and notes stand in comments."""
    parts = []
    for g in grids:
        columns = "".join("r" if _is_number(g, i) else "l" for i in range(len(g.header)))
        head, *body = (" & ".join("--" if c == "-" else escaped(c) for c in r) + r" \\" for r in _all_texts(g))
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        parts.append("\n".join([f"% {g.title}", *lines, r"\end{tabular}", *(f"% {note}" for note in g.notes)]))
    return "\n\n".join(parts) + "\n"


FORMATS = {"txt": as_text, "md": as_markdown, "csv": as_csv, "tex": as_latex}


def _all_texts(grid: Grid) -> list[list[str]]:
    return [list(grid.header), *(_texts(row) for row in grid.rows)]


def _texts(row: tuple) -> list[str]:
    """Figures with two decimals, whole numbers as they are."""
    return ["-" if c is None else f"{c:.2f}" if isinstance(c, float) else str(c) for c in row]


def _is_number(grid: Grid, i: int) -> bool:
    return not any(isinstance(row[i], str) for row in grid.rows)
