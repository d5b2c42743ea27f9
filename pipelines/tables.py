"""A benchmark's table: every method of the parallel search paper on one data set, beside the published figures."""

import dataclasses
import json
import logging
import pathlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import localize
from localize.components import Seeded
from localize.evaluate.benchmark_table import BenchmarkTable, Cells, Column, Row, texts
from localize.evaluate.grids import FORMATS
from localize.evaluate.published import METHODS, Benchmark, read_benchmark
from localize.index.base import OrdersLeaves
from localize.io.text import write_text
from localize.pipelines import direct, parallel_search, serial
from localize.roles import Components
from localize.search.prior import Frames, Leaves
from localize.store import Store
from localize.types import InputError, Report, Scene

log = logging.getLogger(__name__)
PIPELINES: dict[str, Callable] = {
    "RT_AP": direct.run,
    "RT": direct.run,
    "IR": serial.run,
    "parallel": parallel_search.run,
}
ORDERS = {"RT_AP": "gaussian", "RT": "abs_value"}  # of the leaves: index.order
SEEDED = ("index", "retrieval", "pose")  # not mapping
VARIED = ("search", "submission")  # from row to row
SHOWN = 3  # problems of a data set that a table names; the log has them all


@dataclass(frozen=True, eq=False)
class _Outcome:
    """A row's reports, one per seed, or what stands in their place and why."""

    reports: tuple[Report, ...] = ()
    missing: str = ""
    reason: str = ""


def run(
    dataset,
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    table: str,
    seeds: tuple = (0,),
    rows: tuple = ("RT_AP", "RT", "IR", "parallel"),
    **components,
) -> str:
    """The table as text; `output` gets table.txt, .md, .csv, .tex and .json, and ROW/seedN/ what the row's run leaves.

    table: aachen, robotcar or minitown. components: any of the fields of `roles.Components`; every row takes them, but
    for the search and the order of the leaves, which make the row. seeds: of index, retrieval and pose; the table has
    the mean, the lowest and the highest where there are several. A row without data or without public ground truth
    says so. A row that fails is logged as an error, and the others go on.
    """
    benchmark, use = read_benchmark(table), Components(**components)
    _check(seeds, rows, use)
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    scene, outcomes = None, {}
    try:
        scene = _as_judged(dataset.load(), benchmark)
    except InputError as e:
        outcomes = dict.fromkeys(rows, _Outcome(missing="no data", reason=no_data(e)))
    for number, method in enumerate(rows if scene else (), 1):
        job = _Job(f"row {number} of {len(rows)}: {method}", scene, store, folder / method, workers, progress)
        outcomes[method] = job.row(method, use, seeds)
    made = _table(benchmark, scene, outcomes, _notes(benchmark, scene, outcomes, use, seeds))
    written = texts(made)
    for suffix, text in written.items():
        write_text(folder / f"table.{suffix}", text)
    found = {"localize": localize.__version__, "seeds": list(seeds), "table": dataclasses.asdict(made)}
    write_text(folder / "table.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    return f"{written['txt']}\n{_where(folder, outcomes, seeds)}"


def _check(seeds, rows, use: Components) -> None:
    """InputError with all that is wrong with the settings of the table."""
    problems = []
    if not _distinct(seeds) or not all(type(seed) is int and seed >= 0 for seed in seeds):
        problems.append(f"pipeline.seeds is {seeds!r}, but must be different whole numbers, such as [0,1,2]")
    if not _distinct(rows) or set(rows) - set(PIPELINES):
        problems.append(f"pipeline.rows is {rows!r}, but must be a list of some of {', '.join(PIPELINES)}, each once")
    if not (use.search.uses_leaves and use.search.uses_frames):
        problems.append("a table chooses the search of each row itself: leave it at search=union")
    if problems:
        raise InputError(*problems)


def _distinct(values) -> bool:
    return isinstance(values, list | tuple) and 0 < len(values) == len(set(values))


def _as_judged(scene: Scene, benchmark: Benchmark) -> Scene:
    """The scene with the thresholds of the published table, whatever the data set says today."""
    if not len(scene.queries):
        raise InputError(f"{scene.name} has no queries")
    if not benchmark.columns[0].thresholds:
        return scene
    own = {column.tag: column.thresholds for column in benchmark.columns}
    return dataclasses.replace(scene, thresholds=benchmark.columns[0].thresholds, tag_thresholds=own)


def no_data(error: InputError) -> str:
    """Why a data set cannot be used, its first problems in a row; the log has the others."""
    if len(error.problems) <= SHOWN:
        return "; ".join(error.problems)
    for problem in error.problems:
        log.warning("%s", problem)
    return "; ".join(error.problems[:SHOWN]) + f"; and {len(error.problems) - SHOWN} more problems, named in the log"


@dataclass(frozen=True, eq=False)
class _Job:
    """Where a row is computed, and into which folder."""

    title: str
    scene: Scene
    store: Store
    folder: pathlib.Path
    workers: int
    progress: bool

    def row(self, method: str, use: Components, seeds) -> _Outcome:
        """The outcome of a method with every seed."""
        reports, files = [], []
        for seed in seeds:
            log.info("%s, seed %d", self.title, seed)
            into = self.folder / f"seed{seed}"
            try:
                parts = vars(_seeded(_of_method(use, method), method, seed))
                settings = {"workers": self.workers, "progress": self.progress, "output": str(into)}
                reports.append(PIPELINES[method](self.scene, self.store, **parts, **settings))
            except InputError as e:
                for problem in e.problems:
                    log.error("row %s, seed %d: %s", method, seed, problem)
                return _Outcome(missing="failed", reason=f"seed {seed}: {'; '.join(e.problems)}")
            files.append(into / _results(into).get("submission", "poses.txt"))
        if len(reports[0].query_names):
            return _Outcome(tuple(reports))
        todo = "submit" if self.scene.submission else "see"
        return _Outcome(
            missing="not scored",
            reason=f"poses written, no public ground truth: {todo} {', '.join(map(str, files))}",
        )


def _of_method(use: Components, method: str) -> Components:
    """The components with the search that makes the method."""
    if method in ORDERS and use.submission.fallback:  # there are no frames to fall back to
        use = dataclasses.replace(use, submission=dataclasses.replace(use.submission, fallback=None))
    if method == "IR":
        names = [f.name for f in dataclasses.fields(Frames)] if isinstance(use.search, Frames) else ["num_frames"]
        return dataclasses.replace(use, search=Frames(**{name: getattr(use.search, name) for name in names}))
    if method == "parallel":
        return use
    if not isinstance(use.index, OrdersLeaves):
        raise InputError(f"{type(use.index).__name__} has no order of leaves: take index=random_trees for this row")
    return dataclasses.replace(use, search=Leaves(), index=dataclasses.replace(use.index, order=ORDERS[method]))


def _seeded(use: Components, method: str, seed: int) -> Components:
    """The components with this seed; the name of the submission file tells method and seed."""
    parts = {role: getattr(use, role) for role in SEEDED}
    seeded = {role: dataclasses.replace(part, seed=seed) for role, part in parts.items() if isinstance(part, Seeded)}
    name = f"{use.submission.method}_{method}_seed{seed}"
    seeded["submission"] = dataclasses.replace(use.submission, method=name)
    return dataclasses.replace(use, **seeded)


def _results(folder: pathlib.Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def _table(benchmark: Benchmark, scene: Scene | None, outcomes: dict[str, _Outcome], notes) -> BenchmarkTable:
    """Our rows, each with its published one, then the other published ones."""
    columns = benchmark.columns
    scored = {tag for o in outcomes.values() for report in o.reports for tag in report.conditions}
    if scored and not any(column.tag in scored for column in columns):
        columns = (*columns, Column("all", "all"))  # queries without tags, such as references held out
    if scene is not None:
        judged = {c.tag: scene.tag_thresholds.get(c.tag, scene.thresholds) for c in columns}
        columns = tuple(dataclasses.replace(c, thresholds=judged[c.tag]) for c in columns)
    published = {name: (*cells, *[None] * (len(columns) - len(cells))) for name, cells in benchmark.rows.items()}
    rows = []
    for method, outcome in outcomes.items():
        ours = tuple(_cells(report, columns) for report in outcome.reports)
        name = METHODS[method]
        rows.append(Row(method, ours, outcome.missing, outcome.reason, name, published.pop(name, None)))
    rows += [Row("", published_as=name, published=cells) for name, cells in published.items()]
    return BenchmarkTable(benchmark.title, columns, tuple(rows), tuple(notes))


def _cells(report: Report, columns: tuple[Column, ...]) -> Cells:
    """Percent at each threshold, per column; None where no query of the column has ground truth."""
    counts = dict(zip(report.conditions, report.num_queries, strict=True))
    recall = dict(zip(report.conditions, (100 * report.recall).tolist(), strict=True))
    return tuple(tuple(recall[c.tag]) if counts.get(c.tag) else None for c in columns)


def _notes(benchmark: Benchmark, scene: Scene | None, outcomes, use: Components, seeds) -> list[str]:
    """What a reader needs to judge how far the figures can be compared."""
    notes = []
    if scene is not None:
        tags = Counter(tag for query in scene.queries for tag in query.tags)
        counts = [f"{tags[c.tag]} {c.name}" for c in benchmark.columns if tags[c.tag]]
        parts = ", ".join(f"{role} {told(part)}" for role, part in vars(use).items() if role not in VARIED)
        parts += f", {use.search.num_frames} frames"
        notes.append(
            f"Ours: {scene.name}, {len(scene.references)} references, {len(scene.queries)} queries"
            f"{' (' + ', '.join(counts) + ')' if counts else ''}; {parts}."
        )
        num_scored = next((len(o.reports[0].query_names) for o in outcomes.values() if o.reports), len(scene.queries))
        if num_scored < len(scene.queries):
            notes.append(
                f"Ours: {len(scene.queries) - num_scored} of the queries have no ground truth and count nowhere."
            )
        if len(seeds) > 1:
            notes.append(f"Ours: over the seeds {', '.join(map(str, seeds))} of {', '.join(SEEDED)}.")
    if benchmark.scene:
        notes.append("Published: " + ", ".join(f"{count:.0f} {what}" for what, count in benchmark.scene.items()) + ".")
    return [*notes, *benchmark.notes]


def told(part) -> str:
    """The component's name, and the fields that are not as they are by default."""
    changed = [
        f"{f.name}={getattr(part, f.name)}" for f in dataclasses.fields(part) if getattr(part, f.name) != f.default
    ]
    return type(part).__name__ + (f" ({', '.join(changed)})" if changed else "")


def _where(folder: pathlib.Path, outcomes: dict[str, _Outcome], seeds) -> str:
    """Where the files are, and what this run cost."""
    done = [
        _results(folder / m / f"seed{s}") for m, o in outcomes.items() if o.missing in ("", "not scored") for s in seeds
    ]
    reused, computed = (sum(stage[what] for r in done for stage in r["stages"]) for what in ("reused", "computed"))
    files = ", ".join(f"table.{suffix}" for suffix in [*FORMATS, "json"])
    cost = f" {computed} results were computed and {reused} reused from the store." if done else ""
    rows = " and a folder for each row" if done else ""
    return f"{files}{rows} are in {folder}.{cost}"
