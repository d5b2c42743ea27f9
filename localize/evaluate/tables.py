"""Results as text for people."""

import numpy as np

from localize.types import Report


def threshold_name(threshold: tuple[float, float]) -> str:
    """`1 cm / 0.1 deg` or `0.25 m / 2 deg`."""
    metres, degrees = threshold
    length = f"{metres * 100:g} cm" if metres < 0.25 else f"{metres:g} m"
    return f"{length} / {degrees:g} deg"


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
        header = ["condition", *map(threshold_name, thresholds), "median cm", "median deg", "localized"]
        judged = [i for i, own in enumerate(report.thresholds) if own == thresholds]
        tables.append(text_table(header, [_row(report, i) for i in judged]))
    return "\n\n".join(tables)


def _row(report: Report, i: int) -> list[str]:
    medians = [(100 * report.median_m[i], ".2f"), (report.median_deg[i], ".3f")]
    return [
        report.conditions[i],
        *(f"{100 * r:.1f} %" for r in report.recall[i]),
        *(format(v, f) if np.isfinite(v) else "failed" for v, f in medians),
        f"{report.num_localized[i]} of {report.num_queries[i]}",
    ]
