"""Which references a query is compared with, and what is done to the best of them: the fields that rankings share."""

import functools
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, missing, query_field
from localize.io.names import Names
from localize.io.text import read_lines
from localize.keys import file_stamp
from localize.retrieval.base import Reranker
from localize.types import ImageList, InputError, Scene

DTYPES = ("float32", "float16")
NEAREST = 20  # references next to a query's own position prior that it may find, however small its radius


@dataclass(frozen=True)
class Restrictions:
    """A reference must pass all of them. They hold for queries, not for the choice of pairs of references.

    Two sources say where a query is: the file `prior`, which is strict, and the query's own position prior, within
    whose radius it looks, or among the nearest NEAREST references. The query's own goes before the file.
    """

    vectors_dtype: str = query_field("float32")  # of the kept vectors; float16 halves them
    same_groups: bool = query_field(True)  # only references that share a group, where a query has some
    only_tags: tuple = query_field(())  # only references with one of these tags; none: any
    same_tags: tuple = query_field(())  # a query with some of these tags: only references that share one of them
    prior: str | None = query_field(None)  # file of rough positions, lines `query x y z` (m), asked for by radius_m
    radius_m: float | None = query_field(None)  # only references so near to the query's prior position
    rerank: tuple = query_field(())  # re-rankers, applied in order
    num_reranked: int = query_field(100)  # references of each query that they see

    LIBRARIES: ClassVar[tuple] = ("faiss",)

    def __post_init__(self):
        check_component(self, positive=("num_reranked", "radius_m"), choices={"vectors_dtype": DTYPES})
        for name in ("only_tags", "same_tags", "rerank"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        kind = type(self).__name__
        if (self.prior is None) != (self.radius_m is None):
            raise InputError(f"{kind}.prior and {kind}.radius_m belong together: give both or none")
        unfit = [type(r).__name__ for r in self.rerank if not isinstance(r, Reranker)]
        if unfit:
            raise InputError(
                f"{kind}.rerank holds {unfit[0]}, which is no re-ranker: it needs VERSION and a method rerank, see "
                "localize/retrieval/base.py"
            )

    def preflight(self) -> list[str]:
        """What is missing."""
        lacking = [sentence for reranker in self.rerank for sentence in missing(reranker)]
        if self.prior is not None and not pathlib.Path(self.prior).is_file():
            lacking.append(f"file {self.prior} is missing: ranking.prior names it")
        return lacking

    def check_scene(self, scene: Scene) -> list[str]:
        """What of the restrictions does not fit the scene, one sentence each."""
        problems = []
        tags = {tag for image in scene.references for tag in image.tags}
        if self.only_tags and not tags & set(self.only_tags):
            found = ", ".join(sorted(tags)) or "none"
            problems.append(f"no reference has a tag of ranking.only_tags={list(self.only_tags)}; their tags: {found}")
        if self.prior is not None:
            try:
                known = read_positions(self.prior)
            except InputError as e:
                return [*problems, *e.problems]
            names = Names(known)
            if len(scene.queries) and not any(name in names for name in scene.queries.names):
                name = scene.queries.names[0]
                problems.append(
                    f"{self.prior} has a position of none of the {len(scene.queries)} queries, such as {name}"
                )
        return problems

    def searches(self, queries: ImageList, references: ImageList) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """(rows of queries, ascending rows of the references they may find or None for all), each query once."""
        known = _positions(self.prior, file_stamp(self.prior)) if self.prior is not None else {}
        names, asking = Names(known), {}
        for i, query in enumerate(queries):
            asking.setdefault(self._asked(query, known.get(names.find(query.name))), []).append(i)
        placed = any(area for _, _, area in asking)
        centers = np.array([i.pose.center for i in references]).reshape(-1, 3) if placed else None
        for asked, rows in asking.items():
            allowed = None if not any(asked) and not self.only_tags else self._allowed(asked, references, centers)
            yield np.array(rows), allowed

    def _asked(self, query, listed: tuple | None) -> tuple:
        """What of a query decides which references it may find: its groups, its tags that bind, and its area.

        The area is () or position, radius (m), and how many of the nearest references count as within it anyway.
        listed: its position in the file, if it has one there.
        """
        groups = query.groups if self.same_groups else ()
        tags = tuple(tag for tag in query.tags if tag in self.same_tags)
        if query.prior is not None and query.prior.position is not None:
            return groups, tags, (tuple(query.prior.position.tolist()), query.prior.reach_m, NEAREST)
        return groups, tags, (listed, self.radius_m, 0) if listed is not None else ()

    def _allowed(self, asked: tuple, references: ImageList, centers: np.ndarray | None) -> np.ndarray:
        groups, tags, area = asked
        allowed = np.ones(len(references), bool)
        for wanted, field in ((groups, "groups"), (tags, "tags"), (self.only_tags, "tags")):
            if wanted:
                allowed &= np.array([not set(wanted).isdisjoint(getattr(i, field)) for i in references], bool)
        if area:
            position, radius_m, nearest = area
            away_m = np.where(allowed, np.linalg.norm(centers - position, axis=1), np.inf)
            allowed &= away_m <= radius_m
            allowed[np.argsort(away_m, kind="stable")[:nearest]] |= True
            allowed &= np.isfinite(away_m)
        return np.flatnonzero(allowed)


@functools.lru_cache(maxsize=4)
def _positions(path: str, stamp: tuple | None) -> dict[str, tuple[float, float, float]]:
    """As `read_positions`, once per file; a replaced one has another stamp."""
    return read_positions(path)


def read_positions(path: str) -> dict[str, tuple[float, float, float]]:
    """Position (m) by name from lines `name x y z`; InputError for a line of another form."""
    found = {}
    for number, fields in read_lines(pathlib.Path(path)):
        try:
            name, *xyz = fields
            found[name] = tuple(map(float, xyz))
            fits = len(xyz) == 3 and bool(np.isfinite(found[name]).all())
        except ValueError:
            fits = False
        if not fits:
            raise InputError(f"{path}:{number}: expected name x y z, the position of a query in metres")
    return found
