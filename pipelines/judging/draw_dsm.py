"""What deep spatial matching finds two photos to have in common, as a picture."""

import json
import pathlib

import localize
from localize.evaluate.match_picture import draw_match
from localize.io.images import read_photo
from localize.io.text import write_text
from localize.retrieval.base import RerankedRanking
from localize.retrieval.reranking.dsm import Dsm
from localize.roles import Components
from localize.stages.memory import array_bytes
from localize.types import InputError


def run(*, output: str, query: str, reference: str, **components) -> str:
    """Where the picture is; `output` gets match.png, and results.json with the numbers.

    query, reference: paths of the photos, whose regions are found as those of a query and of a reference. Settings are
    those of the first Dsm of `ranking.rerank`, the default ones without any. What it learns of references is learned
    of these two.
    """
    dsm = _dsm(Components(**components))
    photos, problems = [], []
    for path in (query, reference):
        try:
            photos.append(read_photo(pathlib.Path(path)))
        except InputError as e:
            problems += e.problems
    if problems:
        raise InputError(*problems)
    learned = dsm.learn(photos)
    regions = [dsm.find_regions(photo, learned, of_query=k == 0) for k, photo in enumerate(photos)]
    found = dsm.match(*regions)
    inliers, scales = len(found.pairs), [dsm.scales[level] if level >= 0 else None for level in found.levels]
    said = f"{inliers} inliers"
    if inliers:
        said += f" on {len(set(regions[0].channels[found.pairs[:, 0]].tolist()))} channels, scales " + " and ".join(
            f"{scale:g}" for scale in scales
        )
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    names = " and ".join("/".join(pathlib.Path(path).parts[-2:]) for path in (query, reference))
    shown = found.levels if inliers else (0, 0)
    draw_match(folder / "match.png", photos, regions, found.pairs, shown, f"{names}: {said}")
    results = {"localize": localize.__version__, "query": str(query), "reference": str(reference)}
    results |= {"inliers": inliers, "score": found.score, "affine": found.affine.tolist(), "scales": scales}
    results["regions"] = [len(of) for of in regions]
    results["bytes"] = [array_bytes(of) for of in regions]
    write_text(folder / "results.json", json.dumps(results, indent=1) + "\n")
    return f"{names}: {said}. The picture is {folder / 'match.png'}."


def _dsm(use: Components) -> Dsm:
    rerankers = use.ranking.rerank if isinstance(use.ranking, RerankedRanking) else ()
    return next((reranker for reranker in rerankers if isinstance(reranker, Dsm)), Dsm())
