"""Mean IoU and average precision of objects found on Revisited Oxford or Paris, whose pixels are labelled."""

import json
import logging
import pathlib
from dataclasses import asdict

import numpy as np

import localize
from localize.components import missing
from localize.datasets.revisited import RetrievalBenchmark
from localize.evaluate.pixel_retrieval import GRADES, KINDS, PROTOCOLS, PixelScores, score_found
from localize.evaluate.tables import text_table
from localize.io.benchmarks.pixel_retrieval import FOLDER, Pair, read_found, read_labels, write_found
from localize.io.images import read_photo
from localize.io.text import write_text
from localize.pipelines.judging.evaluate_revisited import database_of, rank_database, ungraded, unrankable
from localize.retrieval.objects import ObjectFinder
from localize.roles import Components
from localize.stages import Workbench, find_photos, search_gallery
from localize.store import Store
from localize.types import InputError, collecting

log = logging.getLogger(__name__)


def run(
    dataset,
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    results: str | None = None,
    swapped: bool = False,
    labels: str | None = None,
    finder: ObjectFinder,
    **components,
) -> str:
    """The table as text; `output` gets results.json, summary.txt and, of ours, found.npy in the benchmark's form.

    results: a file of found polygons to score, swapped: with y before x; None: the finder looks for each query's box in
    the photos that show it. labels: the folder of labels, None: in the data set's. Photos are ranked by `retrieval`.
    """
    use, bench = Components(**components), Workbench(store, workers, progress)
    problems = [*ungraded(dataset), *unrankable(use, None), *([] if results else missing(finder))]
    found, truth, benchmark = {}, {}, None
    with collecting(problems):
        found = {} if results is None else read_found(pathlib.Path(results), swapped=swapped)
    if not ungraded(dataset):
        with collecting(problems):
            benchmark = dataset.benchmark()
            folder = dataset.folder / FOLDER if labels is None else pathlib.Path(labels).expanduser()
            truth = read_labels(folder, dataset.city, _pairs(benchmark))
    if problems:
        raise InputError(*problems)
    target = pathlib.Path(output)
    target.mkdir(parents=True, exist_ok=True)
    if results is None:
        found = _search(bench, finder, benchmark)
        write_found(target / "found.npy", found)
    else:
        _compare(results, found, truth)
    rankings, _ = rank_database(bench, use, benchmark)
    args = found, truth, benchmark.graded.queries, rankings, dataset.unjudged
    scores = {name: score_found(*args, protocol) for name, protocol in PROTOCOLS.items()}
    whose = f"{type(finder).__name__}, {finder.backbone}" if results is None else str(results)
    text, told = _text(benchmark, whose, type(use.retrieval).__name__, found, truth, scores)
    told |= {"localize": localize.__version__, "benchmark": benchmark.name, "found": whose}
    told |= {"finder": asdict(finder) if results is None else None}
    told |= {"unreadable_photos": bench.unreadable, "stages": [asdict(r) for r in bench.records]}
    write_text(target / "results.json", json.dumps(told, indent=1, allow_nan=False) + "\n")
    write_text(target / "summary.txt", text)
    files = "results.json and summary.txt" if results else "found.npy, results.json and summary.txt"
    return f"{text}\n{files} are in {target}."


def _compare(results: str, found: dict[Pair, np.ndarray], truth: dict) -> None:
    """Say what a result file has too few and too many; InputError if it has nothing of these photos."""
    both, number = len(found.keys() & truth.keys()), len(truth)
    if not both:
        raise InputError(f"{results} has none of the {number} labelled pairs: is it of another data set?")
    if both < number:
        log.warning("%s lacks %d of %d pairs: they count as not found", results, number - both, number)
    if both < len(found):
        log.warning("%s has %d of its pairs without a label: they are left out", results, len(found) - both)


def _pairs(benchmark: RetrievalBenchmark) -> list[Pair]:
    """Every query with its easy and hard photos."""
    return [
        (q, i) for q, query in enumerate(benchmark.graded.queries) for i in (*query.easy.tolist(), *query.hard.tolist())
    ]


def _search(bench: Workbench, finder: ObjectFinder, benchmark: RetrievalBenchmark) -> dict[Pair, np.ndarray]:
    """Polygons (P, 2) px by pair. A query or a photo that cannot be read finds nothing, and is named."""
    graded = benchmark.graded
    images = RetrievalBenchmark("", benchmark.root, graded, (), benchmark.paths[: len(graded.names)])  # no distractors
    gallery = find_photos(bench, database_of(images))
    if not len(gallery.images):
        raise InputError(f"none of the {len(images.paths)} photos in {benchmark.root} can be read")
    search, wanted = search_gallery(bench, finder, gallery), {}
    for q, (query, path) in enumerate(zip(graded.queries, benchmark.query_paths, strict=True)):
        try:
            wanted[q] = search.query(read_photo(pathlib.Path(benchmark.root) / path), query.box)
        except InputError as e:
            log.error("query %s: %s; it finds nothing, the rest goes on", query.name, e)
            bench.unreadable[str(pathlib.Path(benchmark.root) / path)] = str(e)
    asked: dict[str, list[int]] = {}
    for q, i in _pairs(benchmark):
        if q in wanted and benchmark.paths[i] in gallery.digests:
            asked.setdefault(benchmark.paths[i], []).append(q)
    found = search.find(bench, wanted, asked)
    polygons = {(q, i): found.get((q, benchmark.paths[i])) for q, i in _pairs(benchmark)}
    return {pair: np.zeros((0, 2)) if one is None else one.polygon for pair, one in polygons.items()}


def _text(
    benchmark: RetrievalBenchmark, whose: str, ranked_by: str, found: dict, truth: dict, scores: dict[str, PixelScores]
) -> tuple[str, dict]:
    """The table, and the same for results.json."""
    header = [f"mIoU {grade} {kind}" for kind in KINDS for grade in GRADES] + [f"mAP {grade}" for grade in GRADES]
    rows, told = [], {}
    for name, made in scores.items():
        shares = [made.mean_iou[grade, kind] for kind in KINDS for grade in GRADES]
        shares += [made.mean_average_precision[grade] for grade in GRADES]
        told[name] = dict(zip(header, shares, strict=True))
        rows.append([name, *("-" if share is None else f"{100 * share:.1f}" for share in shares)])
    count = sum(pair in found and len(found[pair]) > 0 for pair in truth)
    text = (
        f"{benchmark.name}: {len(benchmark.graded.queries)} queries, {len(truth)} labelled pairs, in {count} of which "
        f"something was found by {whose}; photos ranked by {ranked_by}\n\n"
        + text_table(["protocol", *header], rows)
        + "\n\nPercent. mAP: over IoUs of boxes above 0.50 to 0.95. official: as the published code has it; fixed: "
        "without its four defects, see docs/objects.md.\n"
    )
    compared = dict(zip(header, rows[-1][1:], strict=True))
    return text, {"protocols": told, "num_pairs": len(truth), "num_found": count, "compared": compared}
