"""Revisited Oxford and Paris, and their million distractors: retrieval alone, without poses or cameras.

The layout is the authors': jpg/NAME.jpg and gnd_roxford5k.pkl in a folder; jpg/... and the list revisitop1m.txt in that
of the distractors. Photos in folders below jpg/, as Paris comes out of its archives, are found too.
"""

import os
import pathlib
from dataclasses import dataclass
from typing import ClassVar

from localize.components import check_component
from localize.datasets.shared.checks import dataset_folder, downloaded
from localize.io.benchmarks.revisited import GradedPhotos, read_graded_photos
from localize.io.text import read_text
from localize.types import InputError, Scene

SHOWN = 5  # missing photos that are named
DISTRACTORS = "revisitop1m.txt"


@dataclass(frozen=True, eq=False)
class RetrievalBenchmark:
    """What is judged by graded photos. There is no Scene to it, as nothing can be localized."""

    name: str
    root: str  # folder that all paths are relative to
    graded: GradedPhotos
    query_paths: tuple[str, ...]  # of the uncropped photos, in the order of the queries
    paths: tuple[str, ...]  # of the database's photos, in their order, and then of the distractors


@dataclass(frozen=True)
class ROxford5k:
    """4,993 photos of Oxford, 70 queries (Radenovic, Iscen, Tolias, Avrithis & Chum, CVPR 2018)."""

    root: str | None = None
    distractors: str | None = None  # folder revisitop1m

    VERSION: ClassVar[int] = 1
    manifest: ClassVar[str] = "roxford5k"
    name: ClassVar[str] = "ROxford5k"
    city: ClassVar[str] = "oxford"  # in the names of pixel retrieval's files
    unjudged: ClassVar[tuple] = (56, 63)  # queries that its average precision leaves out

    def __post_init__(self):
        check_component(self)

    @property
    def folder(self) -> pathlib.Path:
        """Where it is, or a download puts it."""
        return dataset_folder(self.root, self.manifest)

    def load(self) -> Scene:
        """InputError: it has no scene."""
        raise InputError(
            f"{self.name} is photos without poses, to be retrieved and not localized: +pipeline=evaluate_revisited, or "
            "+table=dsm"
        )

    def benchmark(self) -> RetrievalBenchmark:
        """What is judged; InputError with all problems if a file or a photo is missing or is not as it should be."""
        folder = downloaded(self.folder)
        graded = read_graded_photos(folder / f"gnd_{self.manifest}.pkl")
        root, there = folder / "jpg", _photos_below(folder / "jpg")
        asked = [q.name for q in graded.queries]
        problems = _missing([name for name in (*asked, *graded.names) if name not in there], root)
        more = () if self.distractors is None else self._distractors(problems)
        if problems:
            raise InputError(*problems)
        paths, query_paths = ([there[name] for name in names] for names in (graded.names, asked))
        if more:  # two folders: everything is named from one that holds both
            others = pathlib.Path(self.distractors).expanduser().absolute() / "jpg"
            both = pathlib.Path(os.path.commonpath([root, others]))
            here, theirs = (folder.relative_to(both).as_posix() for folder in (root, others))
            paths = [*(f"{here}/{path}" for path in paths), *(f"{theirs}/{path}" for path in more)]
            query_paths, root = [f"{here}/{path}" for path in query_paths], both
        name = self.name + (f" + {len(more)} distractors" if more else "")
        return RetrievalBenchmark(name, str(root), graded, tuple(query_paths), tuple(paths))

    def _distractors(self, problems: list[str]) -> list[str]:
        """Their paths below jpg/, in the order of the list."""
        folder = pathlib.Path(self.distractors).expanduser().absolute()
        if not folder.is_dir():
            problems.append(f"folder {folder} is missing: dataset.distractors must be the folder revisitop1m")
            return []
        listed = read_text(folder / DISTRACTORS).split()
        there = set(_photos_below(folder / "jpg").values())
        problems += _missing([path for path in listed if path not in there], folder / "jpg")
        if not listed or len(set(listed)) != len(listed):
            problems.append(f"{folder / DISTRACTORS} is empty or names a photo twice: get it again")
        return listed


@dataclass(frozen=True)
class RParis6k(ROxford5k):
    """6,322 photos of Paris, 70 queries, of the same authors."""

    manifest: ClassVar[str] = "rparis6k"
    name: ClassVar[str] = "RParis6k"
    city: ClassVar[str] = "paris"
    unjudged: ClassVar[tuple] = (57, 59)


@dataclass(frozen=True)
class RevisitOP1M:
    """1,001,001 photos that show neither Oxford nor Paris: only a download; `dataset.distractors` takes the folder."""

    root: str | None = None

    VERSION: ClassVar[int] = 1
    manifest: ClassVar[str] = "revisitop1m"

    def __post_init__(self):
        check_component(self)

    @property
    def folder(self) -> pathlib.Path:
        """Where it is, or a download puts it."""
        return dataset_folder(self.root, self.manifest)

    def load(self) -> Scene:
        """InputError: nothing is asked of distractors alone."""
        raise InputError(
            f"revisitop1m is photos without queries: dataset=roxford5k dataset.distractors={self.folder}, or rparis6k"
        )


def _photos_below(folder: pathlib.Path) -> dict[str, str]:
    """Path below the folder by name without extension; of two of one name the one that lies higher."""
    found: dict[str, str] = {}
    for place, _, files in os.walk(folder):
        below = pathlib.PurePath(place).relative_to(folder).as_posix()
        for file in files:
            name, _, suffix = file.rpartition(".")
            if suffix.lower() == "jpg":
                found.setdefault(name, file if below == "." else f"{below}/{file}")
    return found


def _missing(names: list[str], folder: pathlib.Path) -> list[str]:
    if not folder.is_dir():
        return [f"folder {folder} is missing: the photos must be there"]
    more = [f"and {len(names) - SHOWN} more photos are missing in {folder}: was everything unpacked?"]
    return [f"photo {name} is missing in {folder}" for name in names[:SHOWN]] + more * (len(names) > SHOWN)
