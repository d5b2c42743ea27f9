"""Where a query's object is in the photos of a gallery: a table, polygons, and pictures."""

import json
import pathlib
from dataclasses import asdict

import numpy as np

import localize
from localize.components import missing
from localize.datasets.revisited import RetrievalBenchmark
from localize.evaluate.object_picture import draw_found
from localize.evaluate.tables import text_table
from localize.io.benchmarks.revisited import GradedPhotos, GradedQuery
from localize.io.images import list_photos, read_photo
from localize.io.text import write_text
from localize.pipelines.judging.evaluate_revisited import database_of, rank_database, unrankable
from localize.retrieval.objects import Box, FoundObject, ObjectFinder, cropped
from localize.roles import Components
from localize.stages import Photos, Workbench, find_photos, search_gallery
from localize.store import Store
from localize.types import InputError, collecting

NONE = np.zeros(0, np.int64)  # nothing is graded


def run(
    dataset,
    store: Store,
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    photo: str,
    box: tuple | None = None,
    gallery: str | None = None,
    num_best: int | None = None,
    num_pictures: int = 20,
    finder: ObjectFinder,
    **components,
) -> str:
    """The table as text; `output` gets objects.json, summary.txt and pictures/ of the best `num_pictures`.

    photo: path of the query; box: left, top, right, bottom px of its object, None takes what LOST finds there.
    gallery: a folder of photos, None takes the references of the data set; num_best: only so many of them, those whose
    global descriptors are most similar to the box's. Photos that cannot be read are named, and left out.
    """
    use, bench = Components(**components), Workbench(store, workers, progress)
    path = pathlib.Path(str(photo)).expanduser().absolute()
    query, asked = _query(path, box, finder, unrankable(use, num_best, "num_best"))
    searched = _gallery(dataset, gallery, path, asked)
    there = find_photos(bench, database_of(searched))
    if not len(there.images):
        raise InputError(f"none of the {len(searched.paths)} photos of the gallery can be read")
    names = list(there.images.names)
    if num_best is not None:
        (ranking,), _ = rank_database(bench, use, searched, num_best)
        names = [name for name in (searched.paths[place] for place in ranking) if name in there.digests]
    search = search_gallery(bench, finder, there)
    found = search.find(bench, {0: search.query(query, asked)}, dict.fromkeys(names, (0,)))
    best_first = {n: 0 if one is None else one.score for (_, n), one in found.items()}
    by_name = sorted(((n, found[0, n]) for n in names), key=lambda pair: (pair[1] is None, -best_first[pair[0]]))
    folder = pathlib.Path(output)
    _draw(folder / "pictures", query, asked, there, by_name[:num_pictures])
    text = _text(photo, asked, box is None, by_name)
    results = {"localize": localize.__version__, "photo": str(photo), "box": list(asked), "by_lost": box is None}
    results |= {"finder": asdict(finder), "photos": {name: _told(one) for name, one in by_name}}
    results |= {"unreadable_photos": bench.unreadable, "stages": [asdict(r) for r in bench.records]}
    write_text(folder / "objects.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(folder / "summary.txt", text + "\n")
    return f"{text}\n\nobjects.json, summary.txt and pictures/ are in {folder}."


def _query(photo: pathlib.Path, box, finder: ObjectFinder, problems: list[str]) -> tuple[np.ndarray, Box]:
    """The query's pixels and box; InputError with all that is wrong with them and with the settings."""
    pixels = None
    problems = [*problems, *missing(finder)]
    with collecting(problems):
        pixels = read_photo(photo)
    if box is not None:
        numbers = [type(v) in (int, float) and np.isfinite(v) for v in box] if isinstance(box, list | tuple) else []
        if len(numbers) != 4 or not all(numbers) or box[0] >= box[2] or box[1] >= box[3]:
            said = "but must be [left, top, right, bottom] in px, with left < right and top < bottom"
            problems.append(f"pipeline.box is {box!r:.60}, {said}")
        elif pixels is not None:
            with collecting(problems):
                cropped(pixels, box)
    if problems:
        raise InputError(*problems)
    return pixels, tuple(map(float, finder.salient(pixels).box if box is None else box))


def _gallery(dataset, folder: str | None, photo: pathlib.Path, box: Box) -> RetrievalBenchmark:
    """The photos that are searched, as a benchmark whose one query is the box."""
    if folder is not None:
        root = pathlib.Path(str(folder)).expanduser()
        paths = list_photos(root) if root.is_dir() else []
        if not paths:
            what = "has no photos" if root.is_dir() else "is missing"
            raise InputError(f"the folder {root} {what}: pipeline.gallery must name a folder of photos")
    elif callable(getattr(dataset, "benchmark", None)):
        made = dataset.benchmark()
        root, paths = made.root, made.paths
    else:
        scene = dataset.load()
        root, paths = scene.image_root, scene.references.names
    graded = GradedPhotos(tuple(paths), (GradedQuery("query", box, NONE, NONE, NONE),))
    return RetrievalBenchmark("gallery", str(root), graded, (str(photo),), tuple(paths))


def _draw(folder: pathlib.Path, query: np.ndarray, box: Box, gallery: Photos, found: list) -> None:
    """A picture of each photo, the query beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, one) in enumerate(found, 1):
        where = None if one is None else (one.box, one.polygon)
        title = f"{name}: " + ("not found" if one is None else f"score {one.score:.2f}")
        path = folder / f"{number:03d}_{pathlib.PurePath(name).stem}.png"
        draw_found(path, query, np.array(box), gallery.read(name), where, title)


def _told(found: FoundObject | None) -> dict:
    """In JSON types."""
    if found is None:
        return {"found": False}
    return {"found": True, "score": found.score, "box": found.box.tolist(), "polygon": found.polygon.tolist()}


def _text(photo: str, box: Box, by_lost: bool, by_name: list[tuple[str, FoundObject | None]]) -> str:
    """What was found where, best first, and where it was not."""
    rows = []
    for name, one in by_name:
        where = ["not found", *[""] * 4] if one is None else [f"{one.score:.2f}", *(f"{v:.0f}" for v in one.box)]
        rows.append([name, *where])
    count = sum(one is not None for _, one in by_name)
    asked = f"{photo}, box {', '.join(f'{v:g}' for v in box)}" + (" (LOST's)" if by_lost else "")
    head = f"{asked}: found in {count} of {len(by_name)} photos\n\n"
    return head + text_table(["photo", "score", "left", "top", "right", "bottom"], rows)
