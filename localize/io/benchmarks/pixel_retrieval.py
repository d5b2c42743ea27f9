"""The labels and result files of pixel retrieval on Revisited Oxford and Paris (An et al., ICCV 2023).

In the folder of labels `oxford_pair2labelpath.npy` is a dictionary: `<q>_<i>`, places of a query and of a photo, to the
path of a labelme file in that folder, whose `shapes` are polygons. A result file is a .npy dictionary:
`qimlist_<q>_imlist_<i>` to the points (x, y) of one polygon, none where nothing was found.
"""

import json
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from localize.io.plain_npy import read_npy_dictionary, write_npy_dictionary
from localize.io.text import read_text, write_text
from localize.types import InputError, collecting

FOLDER = "pixel_retrieval_benchmarks"  # as the archive of labels has it
SHOWN = 5  # problems of a file
MOST_PX = 10_000  # of a coordinate: polygons are filled, and the photos have 1024
Pair = tuple[int, int]  # places of a query and of a photo of the database


def read_labels(folder: pathlib.Path, city: str, pairs: Iterable[Pair]) -> dict[Pair, list[np.ndarray]]:
    """The polygons (P, 2) px, x and y, of each pair. city: oxford or paris.

    InputError with what is missing or is no label.
    """
    listed = read_npy_dictionary(folder / f"{city}_pair2labelpath.npy")
    problems, labels, known = [], {}, {}
    for query, photo in pairs:
        path = listed.get(f"{query}_{photo}")
        if not isinstance(path, str):
            problems.append(f"{folder}/{city}_pair2labelpath.npy names no label of the pair {query}_{photo}")
            continue
        with collecting(problems):
            if path not in known:
                known[path] = _polygons(folder / path.replace("\\", "/"))
            labels[query, photo] = known[path]
    _refuse(problems)
    return labels


def read_found(path: pathlib.Path, *, swapped: bool = False) -> dict[Pair, np.ndarray]:
    """The polygon (P, 2) px, x and y, of each pair of a result file; P is 0 where nothing was found.

    swapped: the file has y before x. InputError if it is none.
    """
    problems, found = [], {}
    for key, points in read_npy_dictionary(path).items():
        parts = key.split("_")
        if len(parts) != 4 or parts[::2] != ["qimlist", "imlist"] or not (parts[1] + parts[3]).isdecimal():
            problems.append(f"{path}: there is no pair {key!r:.60}: keys are qimlist_<query>_imlist_<photo>")
            continue
        try:
            polygon = _points(points)
        except ValueError as e:
            problems.append(f"{path}: {key}: {e}")
            continue
        found[int(parts[1]), int(parts[3])] = polygon[:, ::-1] if swapped else polygon
    _refuse(problems)
    return found


def write_found(path: pathlib.Path, found: Mapping[Pair, np.ndarray]) -> None:
    """Write a result file."""
    write_npy_dictionary(path, {f"qimlist_{q}_imlist_{i}": points.tolist() for (q, i), points in found.items()})


def write_labels(folder: pathlib.Path, city: str, labels: Mapping[Pair, list[np.ndarray]]) -> None:
    """Write labels, a file each, in the form in which the benchmark is distributed."""
    (folder / city).mkdir(parents=True, exist_ok=True)
    for (query, photo), polygons in labels.items():
        shapes = [{"label": "query", "points": p.tolist(), "shape_type": "polygon"} for p in polygons]
        write_text(folder / city / f"{query}_{photo}.json", json.dumps({"shapes": shapes, "imageData": None}))
    paths = {f"{query}_{photo}": f"{city}/{query}_{photo}.json" for query, photo in labels}
    write_npy_dictionary(folder / f"{city}_pair2labelpath.npy", paths)


def _polygons(path: pathlib.Path) -> list[np.ndarray]:
    """Those of a labelme file."""
    try:
        shapes = json.loads(read_text(path))["shapes"]
        if others := {shape.get("shape_type", "polygon") for shape in shapes} - {"polygon"}:
            raise ValueError(f"it has a {others.pop()!r:.60}")
        polygons = [_points(shape["points"]) for shape in shapes]
        if not polygons or min(map(len, polygons)) < 3:
            raise ValueError("it has no polygon, or one of fewer than three points")
    except (ValueError, LookupError, TypeError, AttributeError) as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"{path} is no labelme file of polygons ({e}): get it again") from e
    return polygons


def _points(points) -> np.ndarray:
    """(P, 2) float64; ValueError if they are no points."""
    try:
        made = np.array(points, np.float64)
    except (ValueError, TypeError) as e:
        raise ValueError(f"{points!r:.60} are no points") from e
    if not made.size:
        return np.zeros((0, 2))
    if made.ndim != 2 or made.shape[1] != 2 or not (np.abs(made) <= MOST_PX).all():
        raise ValueError(f"{points!r:.60} are no points x, y of a photo, each at most {MOST_PX} px")
    return made


def _refuse(problems: list[str]) -> None:
    """InputError with the first of the problems, if there are any."""
    if problems:
        more = [f"and {len(problems) - SHOWN} more problems of this kind"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
