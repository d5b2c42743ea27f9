"""A benchmark's table: every method of the parallel search paper on one data set, beside the published figures."""

import dataclasses
import json
import logging
import pathlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import localize
from localize.components import Seeded
from localize.datasets.base import held_out
from localize.evaluate.benchmark_table import BenchmarkTable, Cells, Column, Row, texts
from localize.evaluate.grids import FORMATS
from localize.evaluate.published import METHODS, Benchmark, read_benchmark
from localize.evaluate.recall import recall
from localize.evaluate.tables import threshold_name
from localize.index.base import OrdersLeaves
from localize.io.text import write_text
from localize.paper import differences, told, weights_notes
from localize.pipelines import direct, parallel_search, serial
from localize.roles import Components
from localize.search.prior import Frames, Leaves
from localize.stages import like_supplied
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
    upright_asked: bool = False,
    table: str,
    self_score: int | None = 20,
    seeds: tuple = (0,),
    rows: tuple = ("RT_AP", "RT", "IR", "parallel"),
    **components,
) -> str:
    """The table as text; `output` gets table.txt, .md, .csv, .tex and .json, and ROW/seedN/ what the row's run leaves.

    table: aachen, robotcar or minitown. components: any of the fields of `roles.Components`; every row takes them, but
    for the search and the order of the leaves, which make the row. seeds: of index, retrieval and pose; the table has
    the mean, the lowest and the highest where there are several. A row without data says so. One without public ground
    truth says how many queries were localized and, with self_score=n, how well it localizes every n-th reference on the
    map of the others. A row that fails is logged as an error, and the others go on. upright_asked: the feature's
    `upright` was set by the user, and is not to follow the supplied keypoints.
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
    if scene is not None:
        feature = like_supplied(use.feature, use.mapping, scene, asked=upright_asked)
        use = dataclasses.replace(use, feature=feature)
    for number, method in enumerate(rows if scene else (), 1):
        title = f"row {number} of {len(rows)}: {method}"
        job = _Job(title, scene, store, folder / method, workers, progress, self_score)
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
    own = {column.tag: column.thresholds for column in reversed(benchmark.columns)}  # of a tag's columns the first
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
    self_score: int | None

    def row(self, method: str, use: Components, seeds) -> _Outcome:
        """The outcome of a method with every seed."""
        reports, said = [], []
        for seed in seeds:
            log.info("%s, seed %d", self.title, seed)
            into = self.folder / f"seed{seed}"
            try:
                reports.append(self._run(method, use, seed, self.scene, into))
                if not len(reports[-1].query_names):
                    said.append(self._unscored(method, use, seed, into))
            except InputError as e:
                for problem in e.problems:
                    log.error("row %s, seed %d: %s", method, seed, problem)
                return _Outcome(missing="failed", reason=f"seed {seed}: {'; '.join(e.problems)}")
        if not said:
            return _Outcome(tuple(reports))
        return _Outcome(missing="not scored", reason="poses written, no public ground truth: " + "; ".join(said))

    def _run(self, method: str, use: Components, seed: int, scene: Scene, into: pathlib.Path) -> Report:
        parts = vars(_seeded(_of_method(use, method), method, seed))
        settings = {"workers": self.workers, "progress": self.progress, "output": str(into)}
        return PIPELINES[method](scene, self.store, **parts, **settings)

    def _unscored(self, method: str, use: Components, seed: int, into: pathlib.Path) -> str:
        """What is known of poses without ground truth: their file and number, and how held-out references do."""
        found = _results(into)
        todo = f"{'submit' if self.scene.submission else 'see'} {into / found.get('submission', 'poses.txt')}"
        said = f"{todo} ({found['num_localized']} of {found['num_queries']} queries localized"
        if self.self_score is None:
            return f"{said})"
        log.info("%s, seed %d, one reference in %d as a query", self.title, seed, self.self_score)
        try:
            report = self._run(method, use, seed, held_out(self.scene, self.self_score), into / "self_score")
        except InputError as e:
            log.warning("row %s, seed %d: no references can be held out: %s", method, seed, e)
            return f"{said}; no references can be held out: {e})"
        shares = " / ".join(f"{100 * share:.1f}" for share in report.recall[0])
        bounds = ", ".join(map(threshold_name, report.thresholds[0]))
        number = len(report.query_names)
        return f"{said}; of {number} references held out {shares} percent within {bounds})"


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
        own = scene.tag_thresholds
        columns = tuple(
            c if c.thresholds else dataclasses.replace(c, thresholds=own.get(c.tag, scene.thresholds)) for c in columns
        )
    published = {name: (*cells, *[None] * (len(columns) - len(cells))) for name, cells in benchmark.rows.items()}
    rows = []
    for method, outcome in outcomes.items():
        ours = tuple(_cells(report, columns, scene) for report in outcome.reports)
        name = METHODS[method]
        rows.append(Row(method, ours, outcome.missing, outcome.reason, name, published.pop(name, None)))
    rows += [Row("", published_as=name, published=cells) for name, cells in published.items()]
    return BenchmarkTable(benchmark.title, columns, tuple(rows), tuple(notes))


def _cells(report: Report, columns: tuple[Column, ...], scene: Scene) -> Cells:
    """Percent at each threshold, per column; None where no query of the column has ground truth."""
    tags = {query.name: query.tags for query in scene.queries}
    errors = np.stack([report.error_m, report.error_deg], 1)
    cells = []
    for column in columns:
        asked = np.array([column.tag == "all" or column.tag in tags[name] for name in report.query_names], bool)
        cells.append(tuple((100 * recall(errors[asked], column.thresholds)).tolist()) if asked.any() else None)
    return tuple(cells)


def _notes(benchmark: Benchmark, scene: Scene | None, outcomes, use: Components, seeds) -> list[str]:
    """What a reader needs to judge how far the figures can be compared."""
    notes = []
    if scene is not None:
        tags = Counter(tag for query in scene.queries for tag in query.tags)
        names = {c.tag: c.name for c in reversed(benchmark.columns)}
        counts = [f"{tags[tag]} {name}" for tag, name in reversed(names.items()) if tags[tag]]
        parts = ", ".join(f"{role} {told(part)}" for role, part in vars(use).items() if role not in VARIED)
        parts += f", {use.search.num_frames} frames"
        notes.append(
            f"Ours: {scene.name}, {len(scene.references)} references, {len(scene.queries)} queries"
            f"{' (' + ', '.join(counts) + ')' if counts else ''}; {parts}."
        )
        notes += [f"Not as in the paper: {sentence}." for sentence in differences(use)]
        notes += [f"Weights, {sentence}." for sentence in weights_notes(use)]
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
