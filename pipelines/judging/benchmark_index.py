"""Indexes side by side on the same descriptors: recall of the true point, time per query, time to build, memory."""

import dataclasses
import json
import logging
import pathlib
import shutil
import tempfile

import localize
from localize.evaluate.grids import FORMATS, Grid, as_text
from localize.evaluate.search.curves import Curve, measure, plot_curves
from localize.evaluate.search.descriptor_model import DescriptorModel
from localize.evaluate.search.descriptor_sets import DescriptorSet, read_set, write_model
from localize.index.items import point_means
from localize.io.text import write_text
from localize.pipelines.judging.index_contenders import read_contenders
from localize.pipelines.judging.map_descriptors import descriptors_of_scene
from localize.progress import work
from localize.store import Store
from localize.types import InputError, PointRows, Scene

log = logging.getLogger(__name__)
LEVELS = (0.95, 0.99)  # of the exact search's recall


def run(
    dataset,
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    descriptors: str = "model",
    num_points: int = 200_000,
    num_queries: int = 2000,
    contenders: tuple = (
        *("random_trees", "faiss_ivf_pq", "faiss_hnsw", "faiss_ivf", "faiss_ivf code=sq8", "faiss_hnsw code=sq8"),
        *("faiss_binary", "literal_trees"),
    ),
    repeats: int = 3,
    seed: int = 0,
    **components,
) -> str:
    """The tables as text; `output` gets table.txt, .md, .csv, .tex, .json and curves.png.

    descriptors: `model` (drawn, `num_points` of them), `scene` (of the map of dataset= and its photos' other keypoints)
    or a folder that holds a set. contenders: names in conf/index/, each with settings if wanted: "faiss_ivf_pq
    num_lists=4096 num_probes=8,16,32", where several values make the sweep, and of=mean builds on the means as if each
    point had one observation. The exact search comes first, unasked. InputError, before the work, for what cannot be.
    """
    chosen, means_only = read_contenders(contenders)
    for name, value in (("num_points", num_points), ("num_queries", num_queries), ("repeats", repeats)):
        if type(value) is not int or value < 1:
            raise InputError(f"pipeline.{name} is {value!r}, but must be a whole number of at least 1")
    target = pathlib.Path(output)
    target.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="descriptors-", dir=target)
    try:
        if descriptors == "model":
            found = write_model(DescriptorModel(num_points, seed=seed), scratch, num_queries, progress)
        elif descriptors == "scene":
            scene: Scene = dataset.load()
            found = descriptors_of_scene(scene, store, components, workers, progress, num_queries, seed)
        else:
            found = read_set(descriptors)
        curves = _measured(chosen, means_only, found, workers, repeats, progress, target / "table.json")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _write(target, found, curves, workers)


def _measured(
    chosen, means_only, found: DescriptorSet, workers: int, repeats: int, progress: bool, save_as: pathlib.Path
) -> list[Curve]:
    """One curve per contender, one contender after the other; what is finished is saved."""
    rows, means = found.rows, None
    curves = []
    with work("indexes", len(chosen), shown=progress) as bar:
        for contender in chosen:
            if contender.name in means_only and means is None:
                items = point_means(rows, workers)
                means = PointRows(rows.points, items.descriptors, items.point, [0, len(items.point)])
            of = means if contender.name in means_only else rows
            curves.append(measure(contender, found, of, workers, repeats, *curves[:1], tell=bar.tell))
            _save(save_as, found, curves, workers)
            last = curves[-1].at(found.conditions[-1])[-1]
            log.info(
                "%s: built in %.1f s, %.0f MB; %s %s: recall %.4f (%s) in %.0f us per query",
                *(contender.name, curves[-1].build_s, curves[-1].memory_mb, contender.swept, last.value),
                *(last.recall, last.condition, last.us_per_query),
            )
            bar.update()
    return curves


def _save(path: pathlib.Path, found: DescriptorSet, curves: list[Curve], workers: int) -> None:
    """All that was measured so far, as JSON."""
    contenders = [
        {
            "name": c.contender.name,
            "component": {"type": type(c.contender.component).__name__} | dataclasses.asdict(c.contender.component),
            "swept": c.contender.swept,
            "build_s": c.build_s,
            "build_cpu_s": c.build_cpu_s,
            "memory_mb": c.memory_mb,
            "measured": [dataclasses.asdict(m) for m in c.measured],
        }
        for c in curves
    ]
    record = {"localize": localize.__version__, "descriptors": found.name, "workers": workers, "contenders": contenders}
    write_text(path, json.dumps(record, indent=1) + "\n")


def _write(target: pathlib.Path, found: DescriptorSet, curves: list[Curve], workers: int) -> str:
    """All files; the text, and where they are."""
    grids = [_builds(found, curves, workers)]
    grids += [_levels(c, curves, m) for m in ("us_per_query", "cpu_us_per_query") for c in found.conditions]
    grids += [_settings(c, curves) for c in found.conditions]
    for suffix, form in FORMATS.items():
        write_text(target / f"table.{suffix}", form(grids))
    plot_curves(target / "curves.png", curves, found.conditions, found.name)
    files = ", ".join([*(f"table.{suffix}" for suffix in FORMATS), "table.json", "curves.png"])
    return f"{as_text(grids)}\n{files} are in {target}."


def _builds(found: DescriptorSet, curves: list[Curve], workers: int) -> Grid:
    header = ("index", "build s", "build CPU s", "memory MB")
    rows = [(c.contender.name, c.build_s, c.build_cpu_s, c.memory_mb) for c in curves]
    shape = f"{found.num_points} points, {len(found.point)} rows of {found.descriptors.shape[1]} values"
    notes = (
        f"{shape}; {workers} threads.",
        "Memory: all arrays of the index. Indexes over all observations also read the map's own rows.",
    )
    return Grid("build", f"Indexes of {found.name}", header, tuple(rows), notes)


def _levels(condition: str, curves: list[Curve], measure: str) -> Grid:
    """Times at the levels, and how many times that of the first contender after the exact search they are."""
    exact = max(m.recall for m in curves[0].at(condition))
    first = curves[min(1, len(curves) - 1)]
    header = ["index"]
    for level in LEVELS:
        header += [f"us at {level}", f"x {first.contender.name.split()[0]} at {level}"]
    rows = []
    for c in curves:
        row = [c.contender.name]
        for level in LEVELS:
            own, of = (curve.us_at(condition, level * exact, measure) for curve in (c, first))
            row += [own, own / of if own and of else None]
        rows.append(tuple(row))
    kind = {"us_per_query": "microseconds", "cpu_us_per_query": "microseconds of the processor"}[measure]
    title = f"{condition}: {kind} per query at these shares of the exact search's recall, which is {exact:.4f}"
    return Grid(f"{measure} {condition}", title, tuple(header), tuple(rows))


def _settings(condition: str, curves: list[Curve]) -> Grid:
    header = ("index", "setting", "value", "recall %", "as exact %", "us per query", "CPU us per query", "compared")
    rows = [
        (
            *(c.contender.name, c.contender.swept, str(m.value)),
            *(100 * m.recall, 100 * m.exact, m.us_per_query, m.cpu_us_per_query, m.compared),
        )
        for c in curves
        for m in c.at(condition)
    ]
    return Grid(f"settings {condition}", f"{condition}: every setting", header, tuple(rows))
