"""Tables 1 to 4 of the deep spatial matching paper: our descriptors and re-rankers beside the published figures."""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

import localize
from localize.components import missing
from localize.datasets.revisited import RetrievalBenchmark, ROxford5k, RParis6k
from localize.evaluate.benchmark_table import BenchmarkTable, Cells, Column, Row, texts
from localize.evaluate.grids import FORMATS
from localize.evaluate.published import Benchmark, read_dsm_tables
from localize.io.text import write_text
from localize.pipelines.judging import evaluate_revisited
from localize.pipelines.tables import no_data, told
from localize.retrieval.base import GlobalDescriptor, Reranker
from localize.retrieval.compact import Compact
from localize.retrieval.gem import Gem
from localize.retrieval.reranking.diffusion import Diffusion
from localize.retrieval.reranking.dsm import Dsm
from localize.roles import Components
from localize.store import Store
from localize.types import InputError

log = logging.getLogger(__name__)
SCALES = (1.0, 0.7071, 0.5)  # the paper's
SETUPS = {"M": "medium", "H": "hard"}
MANY = "+1M"  # of a column: with the distractors
OWN = "4"  # the table that holds our descriptors which no table has
WITHOUT = (
    "Published only: ResNet-101 (R), and networks retrained for retrieval (*, V-MAC, V-GeM, R-GeM, R-RMAC): no weights "
    "of theirs are read here. pipeline.descriptors takes your own, and puts one beside the published row of its name."
)


@dataclass(frozen=True)
class Contender:
    """A global descriptor under its name in the tables; one of the paper's stands beside the published figures."""

    name: str
    retrieval: GlobalDescriptor


def _dsm(retrieval: GlobalDescriptor) -> Dsm:
    """Regions of the maps that the descriptor pools, as in the paper; of the compact ones where it pools none."""
    if not isinstance(retrieval, Gem):
        return Dsm()
    shared = ("backbone", "weights", "max_edge_px", "stage", "preprocessing", "precision")
    return Dsm(**{name: getattr(retrieval, name) for name in shared})


RERANKINGS: dict[str, Callable[[GlobalDescriptor], tuple[Reranker, ...]]] = {  # by what follows a descriptor's name
    "": lambda retrieval: (),
    "+DSM": lambda retrieval: (_dsm(retrieval),),
    "+D": lambda retrieval: (Diffusion(),),
    "+DSM+D": lambda retrieval: (_dsm(retrieval), Diffusion(seeds="verified")),
}
OURS = (
    Contender("V", Gem(backbone="vgg16", scales=SCALES)),
    Contender("R50-GeM", Gem(scales=SCALES)),
    Contender("compact", Compact()),
)


def run(
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    oxford: str | None = None,
    paris: str | None = None,
    distractors: str | None = None,
    descriptors: tuple = OURS,
    **components,
) -> str:
    """The tables as text; `output` gets tableN.txt, .md, .csv and .tex, tables.json, and what each evaluation leaves.

    oxford, paris: folders, None takes those in $LOCALIZE_DATA; distractors: the folder revisitop1m. Every descriptor
    is judged alone and with each of RERANKINGS, on what there is: rows and columns without data or weights say so. A
    row that fails is logged as an error, and the others go on.
    """
    use = Components(**components)
    _check(use, descriptors)
    sets, lacking = _sets(oxford, paris, distractors)
    job = _Job(sets, lacking, store, pathlib.Path(output), use, {"workers": workers, "progress": progress})
    outcomes = {}
    for contender in descriptors:
        for suffix, rerankers in RERANKINGS.items():
            outcomes[contender.name + suffix] = job.outcome(contender, suffix, rerankers(contender.retrieval))
    papers = read_dsm_tables()
    known = {name for paper in papers.values() for name in paper.rows}
    made = {}
    for number, paper in papers.items():
        ours = {m: o for m, o in outcomes.items() if m in paper.rows or (number == OWN and m not in known)}
        shown = [c for c in descriptors if any(c.name + suffix in ours for suffix in RERANKINGS)]
        made[number] = _table(paper, ours, [*_notes(shown, sets, lacking), *paper.notes, WITHOUT])
    return _write(pathlib.Path(output), made)


def _check(use: Components, descriptors) -> None:
    """InputError with all that is wrong with the settings of the tables."""
    problems = []
    if use.retrieval != Components().retrieval or getattr(use.ranking, "rerank", ()):
        problems.append(
            "the tables choose descriptors and re-rankers of each row: leave out retrieval= and +reranking=, and set "
            "pipeline.descriptors"
        )
    if not descriptors or not all(isinstance(c, Contender) for c in descriptors):
        problems.append("pipeline.descriptors must be a list of Contenders, see conf/table/dsm.yaml")
    elif len({c.name for c in descriptors}) != len(descriptors) or any("/" in c.name for c in descriptors):
        problems.append("pipeline.descriptors has two of one name, or a name with /")
    if problems:
        raise InputError(*problems)


def _sets(oxford, paris, distractors) -> tuple[dict[str, RetrievalBenchmark], dict[str, str]]:
    """What there is to judge on, by the name of its columns, and why there is not the rest."""
    sets, lacking = {}, {}
    for name, dataset, root, setting in (
        ("ROxf", ROxford5k, oxford, "pipeline.oxford"),
        ("RPar", RParis6k, paris, "pipeline.paris"),
    ):
        for suffix in ("", MANY):
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
class _Outcome:
    """A row's percentages by column, or what stands in their place and why."""

    cells: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)  # mAP, mP@10
    missing: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Job:
    """Where the rows are computed, on what, and into which folder."""

    sets: dict[str, RetrievalBenchmark]
    lacking: dict[str, str]
    store: Store
    folder: pathlib.Path
    use: Components
    settings: dict

    def outcome(self, contender: Contender, suffix: str, rerankers: tuple) -> _Outcome:
        """Of a descriptor with these re-rankers."""
        weights = [sentence for part in (contender.retrieval, *rerankers) for sentence in missing(part)]
        if not self.sets:
            data = [reason for name, reason in self.lacking.items() if MANY not in name]
            return _Outcome(missing="no data", reason="; ".join([*data, *weights]))
        if weights:
            return _Outcome(missing="no weights", reason="; ".join(weights))
        cells, method = {}, contender.name + suffix
        for name, benchmark in self.sets.items():
            log.info("%s on %s", method, benchmark.name)
            dtype = "float16" if MANY in name else self.use.ranking.vectors_dtype
            ranking = dataclasses.replace(self.use.ranking, rerank=rerankers, vectors_dtype=dtype)
            parts = vars(dataclasses.replace(self.use, retrieval=contender.retrieval, ranking=ranking))
            into = self.folder / method / name
            try:
                evaluate_revisited.run(_Loaded(benchmark), self.store, output=str(into), **parts, **self.settings)
            except InputError as e:
                for problem in e.problems:
                    log.error("row %s: %s", method, problem)
                return _Outcome(missing="failed", reason=f"on {name}: {'; '.join(e.problems)}")
            setups = json.loads((into / "results.json").read_text())["setups"]
            for letter, setup in SETUPS.items():
                if setups[setup]["mAP"] is not None:
                    cells[f"{name} {letter}"] = 100 * setups[setup]["mAP"], 100 * setups[setup]["mP"]["10"]
        return _Outcome(cells)


def _notes(shown: list[Contender], sets: dict[str, RetrievalBenchmark], lacking: dict[str, str]) -> list[str]:
    """What ours were made with, and on what."""
    notes = [f"{c.name}: {told(c.retrieval)}." for c in shown]
    if shown and sets:
        for name, made in sets.items():
            size = f"{len(made.paths)} photos, {len(made.graded.queries)} queries"
            notes.append(f"{name}, ours: {made.name}, {size}.")
        notes += [f"{name}, ours: no data: {reason}." for name, reason in lacking.items()]
    return notes


def _table(paper: Benchmark, outcomes: dict[str, _Outcome], notes: list[str]) -> BenchmarkTable:
    """Our rows, each with its published one if there is one, then the other published ones."""
    published, rows = dict(paper.rows), []
    for method, outcome in outcomes.items():
        ours = () if outcome.missing else (_cells(outcome, paper.columns),)
        rows.append(Row(method, ours, outcome.missing, outcome.reason, method, published.pop(method, None)))
    rows += [Row("", published_as=name, published=cells) for name, cells in published.items()]
    return BenchmarkTable(paper.title, paper.columns, tuple(rows), tuple(notes), paper.measure)


def _cells(outcome: _Outcome, columns: tuple[Column, ...]) -> Cells:
    """As many numbers as the columns have; None where there is no data."""
    found = (outcome.cells.get(column.tag) for column in columns)
    return tuple(None if cell is None else cell[: len(c.figures)] for cell, c in zip(found, columns, strict=True))


def _write(folder: pathlib.Path, tables: dict[str, BenchmarkTable]) -> str:
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
    return "\n\n".join(parts) + f"\ntable1 to table4 (.{', .'.join(FORMATS)}) and tables.json are in {folder}."
