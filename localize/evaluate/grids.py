"""Tables of any columns, one beneath the other, as text, Markdown, CSV or LaTeX."""

import csv
import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from localize.evaluate.tables import text_table

WIDTH = 120  # characters of a line of text
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
_LATEX |= {c: "\\" + c for c in "&%$#_{}"}


@dataclass(frozen=True)
class Grid:
    """One table: words to the left, numbers to the right; None where there is no figure."""

    name: str  # one word, for CSV; "": it is the only one
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    notes: tuple[str, ...] = ()
    align: str = ""  # of the columns: l, c or r each; "": numbers to the right


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
        marks = ["---" if side == "l" else "---:" for side in _sides(g)]
        header, *rows = _all_texts(g)
        lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in (header, marks, *rows)]
        title = g.title.replace("\n", " ")
        parts.append("\n".join([title, "", *lines, *([""] if g.notes else []), *(f"- {n}" for n in g.notes)]))
    return "\n\n".join(parts) + "\n"


def as_csv(grids: Sequence[Grid]) -> str:
    """One table with the columns of all, empty where a grid has none of that name; `table` says which grid it is."""
    named = ["table"] if any(g.name for g in grids) else []
    columns = list(dict.fromkeys([*named, *(name for g in grids for name in g.header)]))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
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
        head, *body = (" & ".join("--" if c == "-" else _escaped(c) for c in r) + r" \\" for r in _all_texts(g))
        lines = [rf"\begin{{tabular}}{{{_sides(g)}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        titles = (f"% {line}" for line in g.title.split("\n"))
        parts.append("\n".join([*titles, *lines, r"\end{tabular}", *(f"% {note}" for note in g.notes)]))
    return "\n\n".join(parts) + "\n"


FORMATS = {"txt": as_text, "md": as_markdown, "csv": as_csv, "tex": as_latex}


def _all_texts(grid: Grid) -> list[list[str]]:
    return [list(grid.header), *(_texts(row) for row in grid.rows)]


def _texts(row: tuple) -> list[str]:
    """Figures with two decimals, whole numbers as they are."""
    return ["-" if c is None else f"{c:.2f}" if isinstance(c, float) else str(c) for c in row]


def _sides(grid: Grid) -> str:
    """l, c or r for each column."""
    numbers = (not any(isinstance(row[i], str) for row in grid.rows) for i in range(len(grid.header)))
    return grid.align or "".join("r" if n else "l" for n in numbers)


def _escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    return re.sub(r"[\\~^<>&%$#_{}]", lambda found: _LATEX[found[0]], text)
