"""Results as text for people."""

import numpy as np

from localize.types import Report


def threshold_name(threshold: tuple[float, float], unit: str = "m") -> str:
    """`1 cm / 0.1 deg` or `0.25 m / 2 deg`; `250 mm / 2 deg` in another unit."""
    length, degrees = threshold
    small = unit == "m" and length < 0.25
    return f"{length * 100:g} cm / {degrees:g} deg" if small else f"{length:g} {unit} / {degrees:g} deg"


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Aligned columns, the first to the left, the others to the right."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def recall_table(report: Report) -> str:
    """Recall per condition over all queries, median errors, and how many were localized.

    Conditions that are judged by thresholds of their own get a table of their own.
    """
    tables = []
    for thresholds in dict.fromkeys(report.thresholds):
        names = [threshold_name(t, report.unit) for t in thresholds]
        header = ["condition", *names, *medians(None, None, report.unit), "localized"]
        judged = [i for i, own in enumerate(report.thresholds) if own == thresholds]
        tables.append(text_table(header, [_row(report, i) for i in judged]))
    return "\n\n".join(tables)


def medians(median_m: float | None, median_deg: float | None, unit: str) -> dict[str, str]:
    """Median errors by the names of their columns; `failed` where half of the queries did."""
    name, times, form = _small(unit)
    values = [(name, median_m, times, form), ("deg", median_deg, 1.0, ".3f")]
    return {f"median {name}": _cell(value, times, form) for name, value, times, form in values}


def _cell(value: float | None, times: float, form: str) -> str:
    return format(times * value, form) if value is not None and np.isfinite(value) else "failed"


def _small(unit: str) -> tuple[str, float, str]:
    """The unit of median errors, how many of them are one of the map's, and their format."""
    return ("cm", 100.0, ".2f") if unit == "m" else (unit, 1.0, ".4g")


def _row(report: Report, i: int) -> list[str]:
    return [
        report.conditions[i],
        *(f"{100 * r:.1f} %" for r in report.recall[i]),
        *medians(report.median_m[i], report.median_deg[i], report.unit).values(),
        f"{report.num_localized[i]} of {report.num_queries[i]}",
    ]
