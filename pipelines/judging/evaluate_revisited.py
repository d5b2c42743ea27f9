"""Mean average precision of a global descriptor, a ranking and re-rankers on Revisited Oxford or Paris."""

import json
import logging
import pathlib
import tempfile
from dataclasses import asdict

import numpy as np
import PIL.Image

import localize
from localize.datasets.revisited import RetrievalBenchmark
from localize.evaluate.revisited import SetupScores, score_rankings
from localize.evaluate.tables import text_table
from localize.io.images import read_photo
from localize.io.text import write_text
from localize.retrieval.base import GivenRanking, GlobalDescriptor
from localize.roles import Components
from localize.stages import (
    DescribedReferences,
    PhotoList,
    Photos,
    Workbench,
    describe_references,
    extract_features,
    find_photos,
    rank_photos,
)
from localize.store import Store
from localize.types import Camera, Image, ImageList, InputError, Retrieval

log = logging.getLogger(__name__)
NO_CAMERA = Camera("SIMPLE_PINHOLE", 1, 1, [1.0, 0.5, 0.5])  # nothing asks for it, but an Image has one


def run(
    dataset,
    store: Store,
    *,
    output: str | None = None,
    workers: int = 1,
    progress: bool = False,
    num_ranked: int | None = None,
    ks: tuple = (1, 5, 10),
    **components,
) -> str:
    """The table of mAP and mP@k per setup as text; `output` gets results.json and summary.txt.

    dataset: has `benchmark() -> RetrievalBenchmark`. num_ranked: photos that are ranked for each query, None all of
    them; what is not among them counts as never found. A query whose photo cannot be read finds nothing.
    """
    use, bench = Components(**components), Workbench(store, workers, progress)
    benchmark = _benchmark(dataset, use, num_ranked, ks)
    rankings, described = rank_database(bench, use, benchmark, num_ranked)
    scores = score_rankings(rankings, benchmark.graded.queries, ks)
    results = _results(benchmark, scores, ks) | _cost(bench, use, described)
    results |= {"unreadable_photos": bench.unreadable, "stages": [asdict(r) for r in bench.records]}
    text = _text(use, ks, results)
    if output is not None:
        target = pathlib.Path(output)
        target.mkdir(parents=True, exist_ok=True)
        write_text(target / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
        write_text(target / "summary.txt", text)
    return text


def _benchmark(dataset, use: Components, num_ranked, ks) -> RetrievalBenchmark:
    """What is judged; InputError with all that is wrong with it or with the settings."""
    problems = [*ungraded(dataset), *unrankable(use, num_ranked)]
    if not ks or any(type(k) is not int or k < 1 for k in ks):
        problems.append(f"pipeline.ks is {ks!r}, but must be a list of whole numbers of at least 1")
    if problems:
        raise InputError(*problems)
    return dataset.benchmark()


def ungraded(dataset) -> list[str]:
    """What to take in place of a data set that has no graded photos."""
    if callable(getattr(dataset, "benchmark", None)):
        return []
    return [f"{type(dataset).__name__} has no graded photos: take dataset=roxford5k, rparis6k or revisited_miniature"]


def unrankable(use: Components, num_ranked: int | None, setting: str = "num_ranked") -> list[str]:
    """Why a database cannot be ranked so, one sentence each. setting: of the pipeline, that num_ranked is."""
    problems = []
    if isinstance(use.retrieval, GivenRanking):
        problems.append("a list of pairs has no global descriptors to evaluate: take retrieval=gem")
    if num_ranked is not None and num_ranked < 1:
        problems.append(f"pipeline.{setting} is {num_ranked!r}, but must be at least 1, or null for all")
    return problems


def rank_database(
    bench: Workbench, use: Components, benchmark: RetrievalBenchmark, num_ranked: int | None = None
) -> tuple[list[np.ndarray], DescribedReferences]:
    """For each query the places in the database of what it finds, best first, none for one that cannot be read; and the
    described database."""
    described = describe_references(bench, use, _photos(bench, use, database_of(benchmark)))
    with tempfile.TemporaryDirectory(prefix="localize-queries-") as folder:
        queries = _photos(bench, use, _cropped(bench, benchmark, pathlib.Path(folder)))
        asked = described.by.describe(bench, queries)
        found = rank_photos(bench, asked, described, num_ranked or len(benchmark.paths))
    return _places(found, benchmark), described


def database_of(benchmark: RetrievalBenchmark) -> PhotoList:
    """The photos that are retrieved."""
    return PhotoList("reference", benchmark.root, ImageList(Image(path, NO_CAMERA) for path in benchmark.paths))


def _photos(bench: Workbench, use: Components, photos: PhotoList) -> Photos:
    """The readable photos, with local features if the global descriptor looks at them."""
    if isinstance(use.retrieval, GlobalDescriptor) and use.retrieval.needs != "pixels":
        return extract_features(bench, use.feature, photos)
    return find_photos(bench, photos)


def _cropped(bench: Workbench, benchmark: RetrievalBenchmark, folder: pathlib.Path) -> PhotoList:
    """The boxes of the queries as photos of their own, so that every stage sees what is asked, and nothing else.

    Boxes are rounded, and what lies outside of the photo is black, as by Pillow's crop.
    """
    images = []
    for query, path in zip(benchmark.graded.queries, benchmark.query_paths, strict=True):
        name = f"{query.name}.png"
        try:
            crop = _crop(pathlib.Path(benchmark.root) / path, query.box)
        except InputError as e:
            log.error("%s; the query finds nothing, the rest goes on", e)
            bench.unreadable[str(pathlib.Path(benchmark.root) / path)] = str(e)
            continue
        crop.save(folder / name, compress_level=1)
        images.append(Image(name, NO_CAMERA))
    return PhotoList("query", str(folder), ImageList(images))


def _crop(path: pathlib.Path, box: tuple[float, float, float, float]) -> PIL.Image.Image:
    """What of the photo lies in the box; InputError if it cannot be read or the box is of another photo."""
    photo = PIL.Image.fromarray(read_photo(path))
    (width, height), (left, top, right, bottom) = photo.size, box
    if left < -width or top < -height or right > 2 * width or bottom > 2 * height:
        raise InputError(
            f"photo {path} has {width} x {height} px, but its query is the box {box}: is it the right one?"
        )
    return photo.crop(box)


def _places(found: Retrieval, benchmark: RetrievalBenchmark) -> list[np.ndarray]:
    """For each query the places in the database of what it found, best first; none for one that was left out."""
    place = {path: i for i, path in enumerate(benchmark.paths)}
    places = np.array([place[path] for path in found.reference_names], np.int64)
    row = {name: i for i, name in enumerate(found.query_names)}
    rankings = []
    for query in benchmark.graded.queries:
        ranked = found.ranked[row[f"{query.name}.png"]] if f"{query.name}.png" in row else np.zeros(0, np.int64)
        rankings.append(places[ranked[ranked >= 0]])
    return rankings


def _results(benchmark: RetrievalBenchmark, scores: dict[str, SetupScores], ks) -> dict:
    """Means per setup, and per query its average precision; None where it has no positives."""
    setups = {
        name: {
            "num_queries": found.num_counted,
            "mAP": found.mean_average_precision,
            "mP": dict(zip(map(str, ks), found.mean_precision, strict=True)),
        }
        for name, found in scores.items()
    }
    per_query = {
        query.name: {
            name: float(found.average_precision[i]) if np.isfinite(found.average_precision[i]) else None
            for name, found in scores.items()
        }
        for i, query in enumerate(benchmark.graded.queries)
    }
    head = {"localize": localize.__version__, "benchmark": benchmark.name, "num_photos": len(benchmark.paths)}
    head["num_distractors"] = len(benchmark.paths) - len(benchmark.graded.names)
    return head | {"num_queries": len(per_query), "setups": setups, "average_precision": per_query}


def _cost(bench: Workbench, use: Components, described: DescribedReferences) -> dict:
    """What was compared, and the seconds that the ranking of all queries took, re-rankers included."""
    seconds = sum(record.seconds for record in bench.records if record.name == "ranking")
    rerankers = [type(r).__name__ for r in getattr(use.ranking, "rerank", ())]
    size = {"dimensions": described.vectors.shape[1], "vector_bytes": described.vectors.nbytes}
    return size | {"rerankers": rerankers, "ranking_seconds": seconds}


def _text(use: Components, ks, results: dict) -> str:
    """The table, what it means, and the row that a multirun compares."""
    rows = [
        [name, _percent(f["mAP"]), *map(_percent, f["mP"].values()), str(f["num_queries"])]
        for name, f in results["setups"].items()
    ]
    results["compared"] = {f"{name} mAP": mean for name, mean, *_ in rows}
    results["compared"] |= {f"{row[0]} mP@{k}": cell for row in rows for k, cell in zip(ks, row[2:-1], strict=True)}
    how = " + ".join([type(use.retrieval).__name__, *results["rerankers"]])
    return (
        f"{results['benchmark']}: {results['num_photos']} photos, {results['num_queries']} cropped queries; {how}, "
        f"{results['dimensions']} values\n\n"
        + text_table(["setup", "mAP", *(f"mP@{k}" for k in ks), "queries"], rows)
        + "\n\nPercent, after Radenovic et al., CVPR 2018: junk is left out of the ranking, and queries without "
        f"positives do not count.\nRanking took {results['ranking_seconds']:.2f} s for all queries; the vectors take "
        f"{results['vector_bytes'] / 1e6:.2f} MB.\n"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
