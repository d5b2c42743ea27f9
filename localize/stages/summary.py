"""summary.txt: what came out of a run, in words for who started it; and the same of a map alone."""

import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from localize.evaluate.tables import recall_table
from localize.stages.map_checks import told
from localize.stages.mapping import LocalizationMap
from localize.types import Report
from localize.types.scenes import NO_UNIT

if TYPE_CHECKING:
    from localize.roles import Components

SHOWN = 8  # of the failed queries
NEARLY = 0.25  # confidence of a pose that nearly counted


def table(report: Report, results: dict) -> str:
    """What came out at its shortest: the table where poses are scored, else how many queries were localized."""
    return recall_table(report) if len(report.query_names) else _localized(results)


def summary(report: Report, results: dict, use: "Components") -> str:
    """The table, and beneath it what a person asks next: how many, how good the map is, which failed, what to do."""
    lines = [*_scores(report, results), "", _localized(results)]
    if fit := told(results["map"]["poses"]):
        lines.append(f"{_capital(fit)}.")
    steps = {step: s for step, s in results["seconds_per_query"].items() if s is not None}
    parts = ", ".join(f"{step} {s:.2f}" for step, s in steps.items())
    lines.append(f"A query took {sum(steps.values()):.2f} s of one core: {parts}.")
    if "submission" in results:
        lines.append(f"For the benchmark's server: {results['submission']}{_fallback_remark(results)}.")
    lines += [f"{_capital(note)}." for note in results["scene_notes"]]
    lines += [f"Mind: {note}." for note in results["map"]["notes"] + results["notes"]]
    return "\n".join([*lines, *_failures(results, use)]) + "\n"


def _scores(report: Report, results: dict) -> Iterator[str]:
    if not len(report.query_names):
        yield "No ground truth was given, so nothing is scored; confidence tells how sure a pose is."
        return
    yield recall_table(report)
    if report.unit == NO_UNIT and not results["scene_notes"]:
        yield "Lengths are in units of the map: say dataset.unit=m, or what else it is, if you know."
    if results["num_scored"] < results["num_queries"]:
        without = results["num_queries"] - results["num_scored"]
        yield f"{without} of the {results['num_queries']} queries have no ground truth and are not in the table."


def _localized(results: dict) -> str:
    inliers = results["inliers_median"]
    by = "" if inliers is None else f", half of them by {inliers:.0f} agreeing matches or more,"
    of_map = f"{results['map']['points']:,} points from {results['num_references']} references"
    return f"{results['num_localized']} of {results['num_queries']} queries localized{by} in a map of {of_map}."


def _failures(results: dict, use: "Components") -> Iterator[str]:
    failed = results["failed"]
    if not failed:
        return
    yield f"\n{len(failed)} {_queries(len(failed))} failed:"
    yield from (f"  {name}: {reason}" for name, reason in list(failed.items())[:SHOWN])
    if len(failed) > SHOWN:
        yield f"  and {len(failed) - SHOWN} more, named in results.json under failed"
    if hints := list(_hints([results["queries"][name] for name in failed], use)):
        yield from ("What may help:", *(f"  {hint}" for hint in hints))


def _hints(rows: Iterable[dict], use: "Components") -> Iterator[str]:
    """What to change so that fewer queries fail; nothing where no photo could be read."""
    if not any(row["camera"] for row in rows):
        return
    yield "references that show the place from nearer to these views or in the same light"
    if use.search.uses_frames:
        yield f"search.num_frames={2 * use.search.num_frames}, to look in more references"
    if not (use.search.uses_frames and use.search.uses_leaves):
        yield "+pipeline=parallel_search, which looks in the whole map and in the most similar references"
    least = getattr(use.pose, "min_confidence", 0)
    nearly = sum(NEARLY <= row["confidence"] < least for row in rows if row["confidence"] is not None)
    if nearly:
        yield f"pose.min_confidence={NEARLY}, which accepts {nearly} more, some of them wrong"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _queries(number: int) -> str:
    return "query" if number == 1 else "queries"


def _fallback_remark(results: dict) -> str:
    count = len(results["fallback_poses_in_submission"])
    return f" ({count} failed queries in it have the pose of their most similar reference)" if count else ""


def map_summary(points: LocalizationMap, folder: pathlib.Path, notes: Iterable[str] = ()) -> str:
    """What a map is made of, how good it is, where it is, and how to ask it; notes: of its scene."""
    megabytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    fit = told(points.figures)
    seen = points.num_observations / max(1, len(points.references))
    return "\n".join([
        f"{len(points.rows.points):,} points from {len(points.references)} references, each of which sees {seen:.0f} "
        "of them on average.",
        *([f"{_capital(fit)}."] if fit else []),
        *(f"{_capital(note)}." for note in notes),
        *(f"Mind: {note}." for note in points.notes),
        f"The map is in {folder} ({megabytes:.0f} MB). To localize photos in it, from Python:",
        "",
        "  from localize import Localizer",
        f"  localizer = Localizer.load({str(folder)!r})",
        '  estimate = localizer.localize("query.jpg")  # or localize("query.jpg", Camera(...)) with its intrinsics',
        "  print(estimate.pose.center if estimate.pose else estimate.reason)",
    ])  # fmt: skip
