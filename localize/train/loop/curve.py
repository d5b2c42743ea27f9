"""curve.csv: how a training went, one row per step."""

import csv
import io
import pathlib

from localize.io.files import writing
from localize.io.text import write_text


class TrainingCurve:
    """Rows by name of the column, as text; written out one by one, so that a kill loses none that matters.

    A row tells of the weights after `step` updates: the loss terms of the next batch, the learning rate of the next
    update, the seconds that the training had taken by then, and what a validation measured, if there was one.
    """

    def __init__(self, path: pathlib.Path, done: int):
        """Keep the rows of the first `done` steps of the file, if there is one; later ones will come again."""
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    if len(self.rows) >= done or row.get("step") != str(len(self.rows)):  # or half a row
                        break
                    self.rows.append(row)
        with writing(path):
            write_text(path, "".join(self._text(row) for row in self.rows))

    def append(self, step: int, **values: float) -> None:
        """Add a row; the first one decides the columns, which later ones may leave empty."""
        row = {"step": str(step)} | {name: f"{value:.9g}" for name, value in values.items()}
        if self.rows:
            row = {name: row.get(name, "") for name in self.rows[0]}
        self.rows.append(row)
        with writing(self.path), open(self.path, "a", newline="", encoding="utf-8") as file:
            file.write(self._text(row))

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) where there is a value."""
        filled = [row for row in self.rows if row.get(name)]
        return [int(row["step"]) for row in filled], [float(row[name]) for row in filled]

    def _text(self, row: dict[str, str]) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        if row is self.rows[0]:
            writer.writeheader()
        writer.writerow(row)
        return text.getvalue()
