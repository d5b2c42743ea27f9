"""How often a right reference is among the first ones that a global descriptor finds."""

import json
import pathlib
from dataclasses import asdict

import numpy as np

import localize
from localize.evaluate.inliers import count_inliers, plot_inliers
from localize.evaluate.retrieval import Visibility, distances_m, first_right, retrieval_recall, shared_points
from localize.evaluate.tables import text_table
from localize.io.text import write_text
from localize.mapping.base import MapImport
from localize.retrieval.base import CountsInliers, GivenRanking, GlobalDescriptor, RerankedRanking
from localize.roles import Components
from localize.stages import (
    DescribedPhotos,
    DescribedReferences,
    Looks,
    PhotoList,
    Photos,
    Workbench,
    choose_pairs,
    describe_references,
    extract_features,
    find_photos,
    match_pairs,
    query_photos,
    rank_photos,
    reference_photos,
    triangulate,
)
from localize.stages.memory import array_bytes
from localize.stages.shelved import Shelved
from localize.store import Store
from localize.types import ImageList, InputError, Retrieval, Scene, VisualWords


def run(
    scene: Scene,
    store: Store,
    *,
    workers: int = 1,
    progress: bool = False,
    output: str | None = None,
    radius_m: float | None = None,
    min_share: float = 0.2,
    cell_px: float = 16.0,
    depth_margin: float = 0.1,
    max_angle_deg: float = 60.0,
    ks: tuple = (1, 5, 10, 20),
    **components,
) -> str:
    """The table of recall per condition as text; `output` gets results.json and summary.txt.

    A reference is right if it is within `radius_m` of the query's true position or, where that is None, if it shows
    `min_share` of the map points that the query shows (`evaluate.retrieval` says when a point is shown). That map is
    triangulated from pairs chosen by the known poses, so it is the same whatever the retrieval.
    """
    use, bench = Components(**components), Workbench(store, workers, progress)
    rule = Visibility(cell_px, depth_margin, max_angle_deg)
    _check(scene, use, radius_m, min_share, ks)
    references = _photos(bench, use, reference_photos(scene), mapped=radius_m is None)
    queries = _photos(bench, use, query_photos(scene, scene.ground_truth), mapped=False)
    described = describe_references(bench, use, references)
    asked = described.by.describe(bench, queries)
    look, verified = Looks(bench, asked.photos, described.photos), _verified(use)
    ranked = rank_photos(bench, asked, described, max(*ks, verified), look)
    if radius_m is None:
        matches = match_pairs(bench, use.pair_matching, choose_pairs(bench, use.mapping, references), references)
        points, _ = triangulate(bench, use.mapping, references, matches)
        right = shared_points(points, queries.images, references.images, rule) >= min_share
        told = f"shows at least {100 * min_share:g} % of the query's visible map points"
    else:
        right, told = distances_m(queries.images, references.images) <= radius_m, f"is within {radius_m:g} {scene.unit}"
    ranks = first_right(ranked.ranked[:, : max(ks)], right)
    results = _results(scene, references.images, queries.images, ranks, right, ks)
    results |= _cost(bench, use.retrieval, asked, described)
    if look.regions is not None:
        results |= _regions(*look.regions, results["seconds_per_query"])
    if verified:
        results |= {"inliers": _inliers(ranked, verified, right)}
    results |= {"a reference is right if it": told, "unreadable_photos": bench.unreadable}
    results["stages"] = [asdict(r) for r in bench.records]
    text = _text(scene, type(use.retrieval).__name__, told, ks, results)
    if output is not None:
        folder = pathlib.Path(output)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
        write_text(folder / "summary.txt", text)
        if verified:
            plot_inliers(folder / "inliers.png", results["inliers"], f"{scene.name}: a reference is right if it {told}")
    return text


def _check(scene: Scene, use: Components, radius_m, min_share, ks) -> None:
    """InputError with all that cannot be evaluated."""
    problems = []
    if not scene.ground_truth:
        problems.append(
            f"scene {scene.name} has no true poses of queries to judge by: hold some out, dataset.holdout=n"
        )
    if isinstance(use.retrieval, GivenRanking):
        problems.append("a list of pairs has no global descriptors to evaluate: take retrieval=fusion")
    if radius_m is None and isinstance(use.mapping, MapImport):
        problems.append("the map that says what is visible is triangulated: take mapping=triangulation")
    if radius_m is not None and not radius_m > 0:
        problems.append(f"pipeline.radius_m is {radius_m!r}, but must be greater than 0")
    if not 0 < min_share <= 1:
        problems.append(f"pipeline.min_share is {min_share!r}, but must be above 0 and at most 1")
    if not ks or any(type(k) is not int or k < 1 for k in ks):
        problems.append(f"pipeline.ks is {ks!r}, but must be a list of whole numbers of at least 1")
    if problems:
        raise InputError(*problems)


def _photos(bench: Workbench, use: Components, photos: PhotoList, *, mapped: bool) -> Photos:
    """The readable photos, with local features if the map or the global descriptor needs them."""
    if mapped or _looks_at_features(use.retrieval):
        return extract_features(bench, use.feature, photos)
    return find_photos(bench, photos)


def _looks_at_features(retrieval) -> bool:
    return isinstance(retrieval, GlobalDescriptor) and retrieval.needs != "pixels"


def _cost(bench: Workbench, retrieval, queries: DescribedPhotos, references: DescribedReferences) -> dict:
    """Seconds for each query, and bytes of what is searched."""
    photos, seconds = queries.photos, {}
    if _looks_at_features(retrieval):
        seconds["features"] = float(np.mean([photos.features.seconds(n) for n in photos.images.names]))
    if queries.seconds:
        seconds["global descriptor"] = float(np.mean(list(queries.seconds.values())))
    (ranking,) = (record for record in bench.records if record.name == "ranking")
    seconds["ranking"] = ranking.seconds / max(1, len(photos.images))
    vectors, built = references.vectors, (references.ranking.built, *references.ranking.rerankers)
    size = vectors.nbytes + array_bytes(*(record for record in built if record is not None))
    return {"seconds_per_query": seconds, "dimensions": vectors.shape[1], "index_bytes": size}


def _verified(use: Components) -> int:
    """How many references of each query have inliers as their scores; 0 where the last re-ranker counts none."""
    rerankers = use.ranking.rerank if isinstance(use.ranking, RerankedRanking) else ()
    counts = rerankers and isinstance(rerankers[-1], CountsInliers)
    return min(rerankers[-1].num_verified, use.ranking.num_reranked) if counts else 0


def _inliers(ranked: Retrieval, verified: int, right: np.ndarray) -> dict:
    """Histograms of the inliers that are the scores of the first references of each query."""
    rows = ranked.ranked[:, :verified]
    known = rows >= 0
    return count_inliers(ranked.scores[:, :verified][known], np.take_along_axis(right, np.maximum(rows, 0), 1)[known])


def _regions(of_queries: Shelved, of_references: Shelved, seconds: dict) -> dict:
    """How many regions or visual words there are, and their bytes; adds their seconds to those of a query."""
    seconds["regions"] = float(np.mean([of_queries.seconds(name) for name in of_queries.item_keys] or [0]))
    return {"regions": {"query": _size(of_queries), "reference": _size(of_references)}}


def _size(regions: Shelved) -> dict:
    """Means over the photos."""
    found = [regions[name] for name in regions.item_keys]
    if found and isinstance(found[0], VisualWords):
        told, kinds = [(len(of), array_bytes(of)) for of in found], ("words", "bytes")
    else:
        told = [(len(of), len(np.unique(of.channels)), array_bytes(of)) for of in found] or [(0, 0, 0)]
        kinds = ("regions", "channels", "bytes")
    return dict(zip(kinds, np.mean(told, axis=0).tolist(), strict=True))


def _results(scene: Scene, references: ImageList, queries: ImageList, ranks, right, ks) -> dict:
    """Recall per condition, and per query how many references are right and where the first one is."""
    tags = sorted({tag for q in queries for tag in q.tags})
    masks = {"all": np.ones(len(queries), bool)} | {t: np.array([t in q.tags for q in queries], bool) for t in tags}
    conditions = {
        name: {
            "num_queries": int(mask.sum()),
            "num_with_a_right_reference": int(right[mask].any(1).sum()),
            "recall": dict(zip(map(str, ks), retrieval_recall(ranks[mask], right[mask], ks), strict=True)),
        }
        for name, mask in masks.items()
    }
    per_query = {
        name: {"right_references": int(n), "first_right": int(rank) + 1 if np.isfinite(rank) else None}
        for name, n, rank in zip(queries.names, right.sum(1), ranks, strict=True)
    }
    head = {"localize": localize.__version__, "scene": scene.name, "num_references": len(references)}
    return head | {"num_queries": len(queries), "conditions": conditions, "queries": per_query}


def _text(scene: Scene, name: str, told: str, ks, results: dict) -> str:
    """The table, what it means, and the row that a multirun compares."""
    rows = [
        [c, *(_percent(f["recall"][str(k)]) for k in ks), f"{f['num_with_a_right_reference']} of {f['num_queries']}"]
        for c, f in results["conditions"].items()
    ]
    seconds, size = sum(results["seconds_per_query"].values()), results["index_bytes"] / 1e6
    results["compared"] = {f"{row[0]} R@{k}": cell for row in rows for k, cell in zip(ks, row[1:-1], strict=True)}
    results["compared"] |= {"dim": str(results["dimensions"]), "s per query": f"{seconds:.3f}", "MB": f"{size:.2f}"}
    return (
        f"{scene.name}: {results['num_references']} references, {results['num_queries']} queries; retrieval {name}, "
        f"{results['dimensions']} values\n\n"
        + text_table(["condition", *(f"R@{k}" for k in ks), "counted"], rows)
        + f"\n\nA reference is right if it {told}; queries without any do not count.\n"
        f"Seconds per query: {seconds:.3f} ("
        + ", ".join(f"{k} {v:.4f}" for k, v in results["seconds_per_query"].items())
        + f"); the searched vectors take {size:.2f} MB.\n"
        + _regions_text(results)
    )


def _regions_text(results: dict) -> str:
    """How many inliers right and wrong references have, and what regions take, where there are any."""
    said = ""
    if "inliers" in results:
        of = results["inliers"]
        means = {kind: "-" if of[kind]["mean"] is None else f"{of[kind]['mean']:.1f}" for kind in ("right", "wrong")}
        said = (
            f"Inliers: {means['right']} with {of['right']['references']} right references, {means['wrong']} with "
            f"{of['wrong']['references']} wrong ones (means); of a right and a wrong one, the right one has more in "
            f"{_percent(of['separation'])}.\n"
        )
    if "regions" in results:
        size = results["regions"].items()
        said += "; ".join(f"{_counted(of)} a {kind}, {of['bytes'] / 1e3:.1f} kB" for kind, of in size)
        said += ".\n"
    return said


def _counted(of: dict) -> str:
    if "words" in of:
        return f"{of['words']:.0f} visual words"
    return f"{of['regions']:.0f} regions on {of['channels']:.0f} channels"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
