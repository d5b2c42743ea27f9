"""Whether the confidences and standard deviations in results.json are honest, and which poses a threshold lets in."""

import json
import math
import pathlib

import numpy as np

import localize
from localize.evaluate.confidence import (
    Judged,
    area_under_risk,
    brier_score,
    calibration_error_by_chance,
    expected_median,
    expected_share,
    least_area,
    normalised_errors,
    reliability,
    risk_coverage,
)
from localize.evaluate.confidence_plots import plot_errors, plot_reliability, plot_risk_coverage
from localize.evaluate.tables import text_table
from localize.io.text import read_text, write_text
from localize.types import InputError

NEGATIVES, WITH_NEGATIVES = "not of the scene", "all and these"
_RATIOS = ("median", "within_2", "within_3")
_OPEN = "run it again with pose.min_confidence=0, which gives every query its pose and its error"


def run(
    *,
    results: tuple,
    negatives: tuple = (),
    right: tuple = (0.5, 5.0),
    bins: int = 10,
    thresholds: tuple = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99),
    min_inliers: int = 12,
    output: str | None = None,
) -> str:
    """The tables as text; `output` gets confidence.json, reliability.png, risk_coverage.png and errors.png.

    A pose is right below both of `right` (metres, degrees), as in recall. Poses of `negatives`, photos that do not
    belong to the map, are wrong. Conditions are all queries and each of their tags; runs are pooled.
    """
    _check(results, right, bins, thresholds, min_inliers)
    conditions, notes = _conditions(results, negatives, right)
    found = {name: _judge(judged, bins, thresholds, min_inliers) for name, judged in conditions.items()}
    text = _text(found, right, notes)
    if output is not None:
        folder = pathlib.Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        _write_pictures(folder, conditions, bins, _by_count(found, min_inliers))
        head = {"localize": localize.__version__, "results": list(map(str, results))}
        head |= {"negatives": list(map(str, negatives)), "right": list(right), "notes": notes}
        write_text(
            folder / "confidence.json", json.dumps(head | {"conditions": found}, indent=1, allow_nan=False) + "\n"
        )
        write_text(folder / "summary.txt", text)
    return text


def _check(results, right, bins, thresholds, min_inliers) -> None:
    """InputError with all settings that cannot be used."""
    problems = []
    if isinstance(results, str) or not results:
        problems.append("pipeline.results must be a list of results.json files: pipeline.results=[run/results.json]")
    if len(right) != 2 or not all(v > 0 for v in right):
        problems.append(f"pipeline.right is {list(right)}, but must be metres and degrees, both above 0")
    if type(bins) is not int or bins < 1:
        problems.append(f"pipeline.bins is {bins!r}, but must be a whole number of at least 1")
    if not all(0 <= t <= 1 for t in thresholds):
        problems.append(f"pipeline.thresholds are {list(thresholds)}, but confidences lie between 0 and 1")
    if type(min_inliers) is not int or min_inliers < 1:
        problems.append(f"pipeline.min_inliers is {min_inliers!r}, but must be a whole number of at least 1")
    if problems:
        raise InputError(*problems)


def _conditions(results, negatives, right) -> tuple[dict[str, Judged], list[str]]:
    """Judged queries by condition, and what was left out in words; InputError with all files that cannot be judged."""
    problems, notes, rows, tags = [], [], [], []
    for path in results:
        queries = _read(path, problems)
        known = {n: q for n, q in queries.items() if not q["posed"] or q["error_m"] is not None}
        if len(known) < len(queries):
            notes.append(f"{len(queries) - len(known)} poses in {path} have no ground truth and are left out.")
        if queries and not any(q["posed"] for q in known.values()) and len(known) < len(queries):
            problems.append(f"{path} has no pose with ground truth: photos that do not belong go to pipeline.negatives")
        rows += [_row(q, right) for q in known.values()]
        tags += [q.get("tags", []) for q in known.values()]
    strangers = [_row(q | {"error_m": None}, right) for path in negatives for q in _read(path, problems).values()]
    if problems:
        raise InputError(*problems)
    own = _judged(rows)
    conditions = {"all": own}
    for tag in sorted({t for of_query in tags for t in of_query}):
        conditions[tag] = own.where(np.array([tag in of_query for of_query in tags], bool))
    if strangers:
        conditions |= {NEGATIVES: _judged(strangers), WITH_NEGATIVES: _judged(rows + strangers)}
    return conditions, notes


def _read(path, problems: list[str]) -> dict[str, dict]:
    """`queries` of a results.json, each with `posed`; what cannot be judged goes to `problems`."""
    try:
        read = json.loads(read_text(pathlib.Path(path)))
        failed, queries = set(read["failed"]), read["queries"]
        queries = {n: q | {"posed": n not in failed, "confidence": q.get("confidence")} for n, q in queries.items()}
        _ = [q["error_m"] for q in queries.values()], [q["error_deg"] for q in queries.values()]
    except InputError as e:
        problems += e.problems
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        problems.append(f"{path} is not the results.json of a run that localized queries")
        return {}
    unjudged = sum(q["posed"] and q["confidence"] is None for q in queries.values())
    refused = sum(not q["posed"] and (q["confidence"] or 0) > 0 for q in queries.values())
    if unjudged:
        problems.append(f"{path}: {unjudged} poses have no confidence: run it again with refinement=guided")
    if refused:
        problems.append(f"{path}: {refused} poses were refused for their confidence: {_OPEN}")
    return queries


def _row(query: dict, right) -> tuple:
    """The fields of `Judged` for one query."""
    values = [query[k] if query["posed"] else None for k in ("confidence", "error_m", "error_deg")]
    confidence, metres, degrees = (math.nan if v is None else float(v) for v in values)
    deviations = [query.get(k) if query["posed"] else None for k in ("position_sd_m", "orientation_sd_deg")]
    deviations = [math.nan if v is None else float(v) for v in deviations]
    return confidence, metres < right[0] and degrees < right[1], query["inliers"], metres, degrees, *deviations


def _judged(rows: list[tuple]) -> Judged:
    kinds = (float, bool, int, float, float, float, float)
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(kinds)
    return Judged(*(np.array(c, k) for c, k in zip(columns, kinds, strict=True)))


def _judge(judged: Judged, bins: int, thresholds, min_inliers: int) -> dict:
    """All that confidence.json says of one condition."""
    posed = judged.posed
    table = reliability(posed.confidence, posed.right, bins)
    coverage, risk = risk_coverage(posed.confidence, posed.right, len(judged))
    rules = {f"confidence {t:g}": posed.confidence >= t for t in thresholds}
    rules[_count_rule(min_inliers)] = posed.inliers >= min_inliers
    errors = normalised_errors(judged)
    return {
        "queries": len(judged),
        "poses": len(posed),
        "right": int(posed.right.sum()),
        "calibration_error": _number(table.calibration_error),
        "calibration_error_by_chance": _number(calibration_error_by_chance(posed.confidence, bins)),
        "brier": _number(brier_score(posed.confidence, posed.right)),
        "area_under_risk": _number(area_under_risk(risk)),
        "least_area": _number(least_area(int((~posed.right).sum()), len(posed))),
        "bins": {k: np.round(getattr(table, k), 6).tolist() for k in ("number", "confidence", "right")},
        "curve": {"coverage": np.round(coverage, 6).tolist(), "risk": np.round(risk, 6).tolist()},
        "accepted": {
            rule: {"right": int(m[posed.right].sum()), "wrong": int(m[~posed.right].sum())} for rule, m in rules.items()
        },
        "error_over_sd": {name: _ratios(values) for name, values in errors.items()},
    }


def _count_rule(min_inliers: int) -> str:
    return f"{min_inliers} inliers"


def _ratios(values: np.ndarray) -> dict:
    """What of error / deviation is worth a number; the median against the one that three equal axes would have."""
    return {
        "poses": len(values),
        "median": _number(np.median(values)) if len(values) else None,
        "median_expected": expected_median(),
        "within_2": _number(np.mean(values < 2)) if len(values) else None,
        "within_3": _number(np.mean(values < 3)) if len(values) else None,
    }


def _by_count(found: dict, min_inliers: int) -> dict[str, tuple[float, float]]:
    """(coverage, risk) of the rule by number of inliers per condition that has poses it accepts."""
    points = {}
    for name, of_condition in found.items():
        right, wrong = of_condition["accepted"][_count_rule(min_inliers)].values()
        if right + wrong:
            points[name] = (right + wrong) / of_condition["queries"], wrong / (right + wrong)
    return points


def _write_pictures(folder: pathlib.Path, conditions: dict[str, Judged], bins: int, counted: dict) -> None:
    """The curves of photos that do not belong are left out: all that is accepted of them is wrong."""
    tables = {name: reliability(j.posed.confidence, j.posed.right, bins) for name, j in conditions.items()}
    plot_reliability(folder / "reliability.png", tables)
    shown = {name: j for name, j in conditions.items() if name != NEGATIVES}
    plot_risk_coverage(folder / "risk_coverage.png", shown, counted)
    plot_errors(folder / "errors.png", {name: j for name, j in shown.items() if name != WITH_NEGATIVES})


def _text(found: dict, right, notes: list[str]) -> str:
    """The tables, and beneath them what their columns mean."""
    header = ["condition", "queries", "poses", "right", "calibration error", "by chance", "Brier", "risk", "least risk"]
    names = ("calibration_error", "calibration_error_by_chance", "brier", "area_under_risk", "least_area")
    rows = [
        [c, str(f["queries"]), str(f["poses"]), str(f["right"]), *(_cell(f[n], ".3f") for n in names)]
        for c, f in found.items()
    ]
    rules = list(found["all"]["accepted"])
    kept = [[c, *("{right} + {wrong}".format(**f["accepted"][r]) for r in rules)] for c, f in found.items()]
    deviations = [
        [c, *(_cell(f["error_over_sd"][n][k], ".2f") for n in ("position", "orientation") for k in _RATIOS)]
        for c, f in found.items()
        if c not in (NEGATIVES, WITH_NEGATIVES)
    ]
    titles = [f"{n} {k.replace('_', ' ')}" for n in ("position", "orientation") for k in _RATIOS]
    return "\n".join([
        f"A pose is right within {right[0]:g} (metres, or the unit of the map) and {right[1]:g} deg.\n",
        text_table(header, rows),
        "\nRisk: area under the share of wrong poses against coverage; least: if all wrong ones came last.\n",
        "Accepted poses, right + wrong, from so much confidence on, and by the number of inliers:\n",
        text_table(["condition", *rules], kept),
        "\nError over standard deviation of the right poses; expected: median "
        f"{expected_median():.2f}, within 2 {expected_share(2):.3f}, within 3 {expected_share(3):.4f}.\n",
        text_table(["condition", *titles], deviations),
        *notes,
    ]) + "\n"  # fmt: skip


def _number(value) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
