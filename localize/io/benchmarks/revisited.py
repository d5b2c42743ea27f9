"""The ground truth of Revisited Oxford and Paris (Radenovic, Iscen, Tolias, Avrithis & Chum, CVPR 2018).

`gnd_roxford5k.pkl` is a pickled dictionary: `imlist`, names of the database's photos without extension; `qimlist`,
names of the queries; `gnd`, for each query `bbx` (x1, y1, x2, y2 px) and `easy`, `hard` and `junk`, places in imlist.
"""

import pathlib
import pickle
from dataclasses import dataclass

import numpy as np

from localize.io.plain_pickle import read_plain_pickle
from localize.types import InputError
from localize.types.checks import check_array

GRADES = ("easy", "hard", "junk")
SHOWN = 5  # problems of a file


@dataclass(frozen=True, eq=False)
class GradedQuery:
    """A query: what of its photo is asked with, and which photos of the database show the same, how plainly."""

    name: str
    box: tuple[float, float, float, float]  # x1, y1, x2, y2 px, as Pillow's crop takes them
    easy: np.ndarray  # (E,) int64 places in the database
    hard: np.ndarray  # (H,)
    junk: np.ndarray  # (J,) shows it too little to be judged

    def __post_init__(self):
        for grade in GRADES:
            check_array(self, grade, np.int64, (None,))


@dataclass(frozen=True, eq=False)
class GradedPhotos:
    """The photos of a database, and the queries with their grades."""

    names: tuple[str, ...]
    queries: tuple[GradedQuery, ...]


def read_graded_photos(path: pathlib.Path) -> GradedPhotos:
    """The file's content; InputError with what is wrong with it, nothing of it run whatever it holds."""
    found = read_plain_pickle(path)
    parts = [found.get(key) if isinstance(found, dict) else None for key in ("imlist", "qimlist", "gnd")]
    if not all(isinstance(part, list) and part for part in parts):
        raise InputError(f"{path} has no lists imlist, qimlist and gnd: is it the ground truth of a revisited set?")
    names, asked, grades = parts
    if len(asked) != len(grades):
        raise InputError(f"{path} names {len(asked)} queries but grades {len(grades)}: get the file again")
    problems, queries = [], []
    for kind, listed in (("imlist", names), ("qimlist", asked)):
        if not all(isinstance(name, str) and name for name in listed):
            problems.append(f"{path}: {kind} holds what is no name")
        elif len(set(listed)) != len(listed):
            problems.append(f"{path}: {kind} holds a name twice")
    for name, graded in zip(asked, grades, strict=True):
        try:
            queries.append(_query(name, graded, len(names)))
        except ValueError as e:
            problems.append(f"{path}: query {name}: {e}")
    if problems:
        more = [f"{path}: and {len(problems) - SHOWN} more problems of this kind"] if len(problems) > SHOWN else []
        raise InputError(*problems[:SHOWN], *more)
    return GradedPhotos(tuple(names), tuple(queries))


def _query(name: str, graded, num_photos: int) -> GradedQuery:
    """ValueError if the grades are none of this many photos."""
    if not isinstance(graded, dict) or not all(isinstance(graded.get(key), list) for key in ("bbx", *GRADES)):
        raise ValueError("its entry must hold the lists bbx, easy, hard and junk")
    box = graded["bbx"]
    if len(box) != 4 or not all(type(v) in (int, float) and abs(v) < 1e6 for v in box):
        raise ValueError(f"bbx is {box!s:.60}, but must be x1, y1, x2, y2 in px")
    if round(box[0]) >= round(box[2]) or round(box[1]) >= round(box[3]):
        raise ValueError(f"bbx is {box}, which is empty: x1 < x2 and y1 < y2 are needed")
    places = [place for grade in GRADES for place in graded[grade]]
    if not all(type(place) is int and 0 <= place < num_photos for place in places):
        raise ValueError(f"easy, hard and junk must be whole numbers from 0 to {num_photos - 1}")
    if len(set(places)) != len(places):
        raise ValueError("a photo is graded twice")
    return GradedQuery(name, tuple(map(float, box)), *(np.array(graded[grade], np.int64) for grade in GRADES))


def write_graded_photos(path: pathlib.Path, photos: GradedPhotos) -> None:
    """Write the file, in the form in which the benchmarks are distributed."""
    graded = [{"bbx": list(q.box)} | {grade: getattr(q, grade).tolist() for grade in GRADES} for q in photos.queries]
    content = {"imlist": list(photos.names), "qimlist": [q.name for q in photos.queries], "gnd": graded}
    path.write_bytes(pickle.dumps(content, protocol=2))
