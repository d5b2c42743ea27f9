"""Tables of retrieval on Revisited Oxford and Paris: our descriptors and re-rankers beside published ones."""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import localize
from localize.components import missing
from localize.datasets.revisited import RetrievalBenchmark, ROxford5k, RParis6k
from localize.evaluate.benchmark_table import BenchmarkTable, Cells, Column, Row, texts
from localize.evaluate.grids import FORMATS
from localize.evaluate.published import Benchmark
from localize.io.text import write_text
from localize.pipelines.judging import evaluate_revisited
from localize.pipelines.tables import no_data, told
from localize.retrieval.base import GlobalDescriptor
from localize.roles import Components
from localize.store import Store
from localize.types import InputError

log = logging.getLogger(__name__)
SETUPS = {"E": "easy", "M": "medium", "H": "hard"}
MANY = "+1M"  # of a column: with the distractors


@dataclass(frozen=True)
class Contender:
    """A global descriptor under its name in the tables; one that is published too stands beside its figures."""

    name: str
    retrieval: GlobalDescriptor


def check_contenders(use: Components, descriptors, table: str) -> None:
    """InputError with all that is wrong with the settings of the tables."""
    problems = []
    if use.retrieval != Components().retrieval or getattr(use.ranking, "rerank", ()):
        problems.append(
            "the tables choose descriptors and re-rankers of each row: leave out retrieval= and +reranking=, and set "
            "pipeline.descriptors"
        )
    if not descriptors or not all(isinstance(c, Contender) for c in descriptors):
        problems.append(f"pipeline.descriptors must be a list of Contenders, see conf/table/{table}.yaml")
    elif len({c.name for c in descriptors}) != len(descriptors) or any("/" in c.name for c in descriptors):
        problems.append("pipeline.descriptors has two of one name, or a name with /")
    if problems:
        raise InputError(*problems)


def sets_of(
    oxford, paris, distractors=None, *, many: bool = True
) -> tuple[dict[str, RetrievalBenchmark], dict[str, str]]:
    """What there is to judge on, by the name of its columns, and why there is not the rest."""
    sets, lacking = {}, {}
    for name, dataset, root, setting in (
        ("ROxf", ROxford5k, oxford, "pipeline.oxford"),
        ("RPar", RParis6k, paris, "pipeline.paris"),
    ):
        for suffix in ("", MANY) if many else ("",):
            if suffix and distractors is None:
                lacking[name + suffix] = "pipeline.distractors names no folder revisitop1m"
                continue
            try:
                sets[name + suffix] = dataset(root, distractors if suffix else None).benchmark()
            except InputError as e:
                said = no_data(e).replace("dataset.root", setting)  # what a data set of its own is asked with
                lacking[name + suffix] = said.replace("dataset.distractors", "pipeline.distractors")
    return sets, lacking


@dataclass(frozen=True)
class _Loaded:
    """A data set that was read before."""

    made: RetrievalBenchmark

    def benchmark(self) -> RetrievalBenchmark:
        return self.made


@dataclass(frozen=True, eq=False)
class Outcome:
    """A row's percentages by column, or what stands in their place and why."""

    cells: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)  # mAP, mP@10
    missing: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Job:
    """Where the rows are computed, on what, and into which folder."""

    sets: dict[str, RetrievalBenchmark]
    lacking: dict[str, str]
    store: Store
    folder: pathlib.Path
    use: Components
    settings: dict

    def outcomes(
        self, descriptors: Sequence[Contender], rerankings: Mapping[str, Callable[[GlobalDescriptor], tuple]]
    ) -> dict[str, Outcome]:
        """Of every descriptor with each of the re-rankings that it knows, by both names."""
        return {
            contender.name + suffix: self.outcome(contender, suffix, rerankers)
            for contender in descriptors
            for suffix, made in rerankings.items()
            if (rerankers := made(contender.retrieval)) is not None
        }

    def outcome(self, contender: Contender, suffix: str, rerankers: tuple) -> Outcome:
        """Of a descriptor with these re-rankers."""
        parts = (contender.retrieval, *rerankers)
        weights = list(dict.fromkeys(sentence for part in parts for sentence in missing(part)))
        if not self.sets:
            data = [reason for name, reason in self.lacking.items() if MANY not in name]
            return Outcome(missing="no data", reason="; ".join([*data, *weights]))
        if weights:
            return Outcome(missing="no weights", reason="; ".join(weights))
        cells, method = {}, contender.name + suffix
        for name, benchmark in self.sets.items():
            log.info("%s on %s", method, benchmark.name)
            dtype = "float16" if MANY in name else self.use.ranking.vectors_dtype
            ranking = dataclasses.replace(self.use.ranking, rerank=rerankers, vectors_dtype=dtype)
            used = vars(dataclasses.replace(self.use, retrieval=contender.retrieval, ranking=ranking))
            into = self.folder / method / name
            try:
                evaluate_revisited.run(_Loaded(benchmark), self.store, output=str(into), **used, **self.settings)
            except InputError as e:
                for problem in e.problems:
                    log.error("row %s: %s", method, problem)
                return Outcome(missing="failed", reason=f"on {name}: {'; '.join(e.problems)}")
            setups = json.loads((into / "results.json").read_text())["setups"]
            for letter, setup in SETUPS.items():
                if setups[setup]["mAP"] is not None:
                    cells[f"{name} {letter}"] = 100 * setups[setup]["mAP"], 100 * setups[setup]["mP"]["10"]
        return Outcome(cells)


def notes_of(shown: list[Contender], sets: dict[str, RetrievalBenchmark], lacking: dict[str, str]) -> list[str]:
    """What ours were made with, and on what."""
    notes = [f"{c.name}: {told(c.retrieval)}." for c in shown]
    if shown and sets:
        for name, made in sets.items():
            size = f"{len(made.paths)} photos, {len(made.graded.queries)} queries"
            notes.append(f"{name}, ours: {made.name}, {size}.")
        notes += [f"{name}, ours: no data: {reason}." for name, reason in lacking.items()]
    return notes


def table_of(paper: Benchmark, outcomes: dict[str, Outcome], notes: list[str]) -> BenchmarkTable:
    """Our rows, each with its published one if there is one, then the other published ones."""
    published, rows = dict(paper.rows), []
    for method, outcome in outcomes.items():
        ours = () if outcome.missing else (_cells(outcome, paper.columns),)
        rows.append(Row(method, ours, outcome.missing, outcome.reason, method, published.pop(method, None)))
    rows += [Row("", published_as=name, published=cells) for name, cells in published.items()]
    return BenchmarkTable(paper.title, paper.columns, tuple(rows), tuple(notes), paper.measure)


def _cells(outcome: Outcome, columns: tuple[Column, ...]) -> Cells:
    """As many numbers as the columns have; None where there is no data."""
    found = (outcome.cells.get(column.tag) for column in columns)
    return tuple(None if cell is None else cell[: len(c.figures)] for cell, c in zip(found, columns, strict=True))


def write_tables(folder: pathlib.Path, tables: dict[str, BenchmarkTable]) -> str:
    """All files; the text, and where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, table in tables.items():
        written = texts(table)
        for suffix, text in written.items():
            write_text(folder / f"table{number}.{suffix}", text)
        parts.append(written["txt"])
    found = {"localize": localize.__version__, "tables": {n: dataclasses.asdict(t) for n, t in tables.items()}}
    write_text(folder / "tables.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    return (
        "\n\n".join(parts) + f"\ntable1 to table{len(tables)} (.{', .'.join(FORMATS)}) and tables.json are in {folder}."
    )
