"""Enter what a benchmark's server gave back for a submission into a finished table, beside the published figures."""

import dataclasses
import datetime
import json
import logging
import pathlib
from collections import Counter

from localize.evaluate.benchmark_table import BenchmarkTable, texts
from localize.evaluate.server_figures import BOUNDS, CONDITIONS, entered, impossible, problems_of, table_of
from localize.io.benchmarks.server_results import FORM, Triples, as_triple, condition, read_server_results
from localize.io.text import write_text
from localize.types import InputError

log = logging.getLogger(__name__)


def run(
    *,
    run: str,
    row: str = "parallel",
    seed: int = 0,
    figures: dict | None = None,
    file: str | None = None,
    method: str | None = None,
    night_thresholds: str = "since_2020",
) -> str:
    """The table as text, after table.txt, .md, .csv, .tex and .json of the run have been written anew.

    run: folder of a finished +table=aachen or robotcar; row, seed: whose submission it was; figures: three percentages
    by condition; file: the page, its text or JSON instead, of which `method` names one of several rows.
    night_thresholds: of the server, as Aachen's data set names them. InputError for what is missing, not clear or
    impossible.
    """
    folder = pathlib.Path(run).expanduser()
    kept, table = table_of(folder)
    conditions = next((c for title, c in CONDITIONS.items() if table.title.startswith(title)), None)
    problems = _wrong(kept, table, row, seed, night_thresholds, folder)
    if conditions is None:
        problems.append(f"{folder} holds a table of a benchmark without a server: {table.title}")
    if (figures is None) == (file is None):
        problems.append(f"give either pipeline.file=PAGE or pipeline.figures, as {_example(conditions)}")
    if problems:
        raise InputError(*problems)
    results = read_server_results(pathlib.Path(file).expanduser(), method) if file else _typed(figures)
    if problems := problems_of(results, conditions):
        raise InputError(*problems)
    for sentence in impossible(results, _counts(folder / row / f"seed{seed}")):
        log.warning("%s: compare it with the page", sentence)
    if missing := [name for name in conditions if name not in results]:
        log.warning("no figures for %s: their cells stay empty", ", ".join(missing))
    made = entered(table, row, seed, results, datetime.date.today().isoformat(), night_thresholds)
    written = texts(made)
    for suffix, text in written.items():
        write_text(folder / f"table.{suffix}", text)
    kept["table"] = dataclasses.asdict(made)
    write_text(folder / "table.json", json.dumps(kept, indent=1, allow_nan=False) + "\n")
    return f"{written['txt']}\n{row}, seed {seed}, was entered into {folder}."


def _wrong(kept: dict, table: BenchmarkTable, row: str, seed: int, night: str, folder: pathlib.Path) -> list[str]:
    """What is wrong with the settings, a sentence each."""
    problems, rows = [], [r.method for r in table.rows if r.method]
    if row not in rows:
        problems.append(f"{folder} has no row {row!r} of ours (pipeline.row): it has {', '.join(rows)}")
    if seed not in kept["seeds"]:
        seeds = ", ".join(map(str, kept["seeds"]))
        problems.append(f"{folder} was not made with seed {seed} (pipeline.seed), but with {seeds}")
    if night not in BOUNDS:
        problems.append(f"pipeline.night_thresholds is {night!r}, but must be {' or '.join(BOUNDS)}")
    return problems


def _typed(figures: dict) -> Triples:
    """The figures of the command line."""
    if not isinstance(figures, dict) or not figures:
        raise InputError(f"pipeline.figures is {figures!r}, but must be as {_example(None)}")
    found = {}
    for key, value in figures.items():
        name, values = condition(str(key)), as_triple(value)
        if name is None or values is None:
            raise InputError(f"pipeline.figures has {key}: {value}, but must be as {_example(None)}")
        found[name] = values
    return found


def _example(conditions: tuple | None) -> str:
    names = (conditions or ("day", "night"))[:2]
    return f"'pipeline.figures={{{', '.join(f'{name}: [85.2, 92.4, 97.3]' for name in names)}}}' (a page: `{FORM}`)"


def _counts(folder: pathlib.Path) -> Counter:
    """Queries of each tag, from the results of the row's run; none where they are not there."""
    path = folder / "results.json"
    queries = json.loads(path.read_text())["queries"].values() if path.is_file() else ()
    return Counter(tag for query in queries for tag in query.get("tags", ()))
