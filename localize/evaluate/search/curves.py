"""Recall against time of an index, measured over a sweep of one of its query-time settings."""

import contextlib
import dataclasses
import functools
import gc
import pathlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import threadpoolctl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from localize.evaluate.search.descriptor_sets import DescriptorSet
from localize.types import PointRows

ENOUGH_S = 20.0  # measured for so long, a setting is not repeated again


@dataclass(frozen=True)
class Contender:
    """An index component, and the values of one of its query fields that are measured; without them, it as it is."""

    name: str
    component: Any
    swept: str = ""
    values: tuple = ("",)

    def at(self, value) -> Any:
        """The component with one of the values."""
        return dataclasses.replace(self.component, **{self.swept: value}) if self.swept else self.component


@dataclass(frozen=True)
class Measured:
    """One setting under one condition."""

    condition: str
    value: Any  # of the swept field
    recall: float  # share of queries whose nearest point is the true one
    exact: float  # share of queries that get the same point as from the first contender, the exact search
    us_per_query: float  # wall-clock, median over the repeats of the whole batch
    cpu_us_per_query: float  # of all threads together, likewise
    compared: float  # items a query was compared with, as the index counts them


@dataclass
class Curve:
    """All that was measured of a contender."""

    contender: Contender
    build_s: float = 0.0  # wall-clock
    build_cpu_s: float = 0.0
    memory_mb: float = 0.0  # of what was built
    measured: list[Measured] = field(default_factory=list)
    answers: dict[str, np.ndarray] = field(default_factory=dict)  # by condition, points (Q,) of the last setting

    def at(self, condition: str) -> list[Measured]:
        """The settings of one condition, in the order of the sweep."""
        return [m for m in self.measured if m.condition == condition]

    def us_at(self, condition: str, recall: float, measure: str = "us_per_query") -> float | None:
        """Microseconds per query at a recall, between two settings by their logarithms; None if it is not reached."""
        reached = sorted((m.recall, getattr(m, measure)) for m in self.at(condition))
        best = [(r, u) for r, u in reached if u <= min(v for s, v in reached if s >= r)]  # unbeaten
        if not best or best[-1][0] < recall:
            return None
        recalls, times = np.array(best).T
        return float(np.exp(np.interp(recall, recalls, np.log(times))))


def measure(
    contender: Contender,
    found: DescriptorSet,
    rows: PointRows,
    workers: int,
    repeats: int,
    exact: Curve | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Curve:
    """Build the index on the rows, and search it for each condition's queries, all at once, with every value.

    exact: what the exact search gave. Libraries, and kernels that go by them, use `workers` threads. The first search
    of each setting is not timed.
    """
    curve = Curve(contender)
    tell(f"{contender.name}: building")
    wall, cpu = time.perf_counter(), time.process_time()
    with threadpoolctl.threadpool_limits(workers):
        built = contender.component.build(rows)
    curve.build_s, curve.build_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    curve.memory_mb = num_bytes(built) / 1e6
    with threadpoolctl.threadpool_limits(workers):
        for value in contender.values:
            tell(f"{contender.name}: {contender.swept} {value}")
            component = contender.at(value)
            for condition in found.conditions:
                queries, truth = found.asked(condition)
                answer, wall, cpu = _timed(functools.partial(component.nearest, built, rows, queries), repeats)
                same = 1.0 if exact is None else float((answer.point == exact.answers[condition]).mean())
                right = float((answer.point == truth).mean())
                timed = 1e6 * wall / len(queries), 1e6 * cpu / len(queries), answer.compared
                curve.measured.append(Measured(condition, value, right, same, *timed))
                curve.answers[condition] = answer.point
    del built
    gc.collect()
    return curve


def _timed(work: Callable, repeats: int) -> tuple[Any, float, float]:
    """What the work gives, its median seconds, and those of the processor; it runs once before."""
    times, cpu_times = [], []
    start = time.perf_counter()
    while len(times) < 2 or (len(times) <= repeats and time.perf_counter() - start < ENOUGH_S):
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        times.append(time.perf_counter() - wall)
        cpu_times.append(time.process_time() - cpu)
    return answer, float(np.median(times[1:])), float(np.median(cpu_times[1:]))


def num_bytes(record) -> int:
    """Bytes of all arrays of a record and of the records in it."""
    if isinstance(record, np.ndarray):
        return record.nbytes
    if dataclasses.is_dataclass(record):
        return sum(num_bytes(getattr(record, f.name)) for f in dataclasses.fields(record))
    return sum(map(num_bytes, record)) if isinstance(record, list | tuple) else 0


def plot_curves(path: str | pathlib.Path, curves: Sequence[Curve], conditions: Sequence[str], title: str) -> None:
    """Write a picture: recall against time, a panel for each condition, three in a row, a line for each contender."""
    num_columns = min(3, len(conditions))
    num_rows = -(-len(conditions) // num_columns)
    figure = Figure(figsize=(1 + 6 * num_columns, 5 * num_rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize="medium")
    for i, condition in enumerate(conditions):
        ax = figure.add_subplot(num_rows, num_columns, i + 1)
        for j, curve in enumerate(curves):
            points = sorted((m.us_per_query, m.recall) for m in curve.at(condition))
            marker = "os^vD*xP"[j // 10 % 8]
            ax.plot(*np.array(points).T, f"{marker}-", color=f"C{j % 10}", markersize=4, label=curve.contender.name)
        ax.set_xscale("log")
        ax.set_xlabel("microseconds per query")
        ax.set_ylabel("share of queries whose nearest point is the true one")
        ax.set_title(condition)
        ax.grid(alpha=0.3, which="both")
    with contextlib.suppress(IndexError):
        figure.axes[-1].legend(fontsize="small", loc="lower right")
    figure.savefig(path, dpi=120)
