"""A retrieval list that somebody else made, such as the pairs files of hloc."""

import logging
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
from localize.io.names import Names
from localize.io.text import read_pairs
from localize.types import ImageList, InputError, Retrieval, Scene

log = logging.getLogger(__name__)
SHOWN = 5  # lines that are wrong in one way


@dataclass(frozen=True)
class Pairs:
    """Lines `query reference`, the most similar reference of a query first. Nothing is described.

    References are paired for triangulation by their known poses, as such a list speaks of queries only.
    """

    path: str

    VERSION: ClassVar[int] = 1

    def __post_init__(self):
        check_component(self)

    def preflight(self) -> list[str]:
        """What is missing."""
        return [] if pathlib.Path(self.path).is_file() else [f"file {self.path} is missing: retrieval.path names it"]

    def check_scene(self, scene: Scene) -> list[str]:
        """What of the list does not fit the scene, one sentence each."""
        try:
            return self._misfit(*self._read(scene.queries, scene.references))
        except InputError as e:
            return list(e.problems)

    def _read(self, queries: ImageList, references: ImageList) -> tuple[dict[str, list[int]], list[str]]:
        """Rows of the references listed for each query, and a clause for each line of a query without a reference."""
        asked, there = Names(queries.names), Names(references.names)
        rows = {name: i for i, name in enumerate(references.names)}
        listed, passed = {name: [] for name in queries.names}, []
        for number, first, second in read_pairs(pathlib.Path(self.path).expanduser(), asked):
            query, reference = asked.find(first), there.find(second)
            if query is not None and reference is not None:
                listed[query].append(rows[reference])
            elif query is not None:
                with_what = _what(second, asked.find(second), query)
                passed.append(f"{self.path}:{number} pairs {first} with {with_what}")
        return listed, passed

    def _misfit(self, listed: dict[str, list[int]], passed: list[str]) -> list[str]:
        """Why none of the queries can be localized with the list, if so."""
        if not listed or any(listed.values()):
            return []
        if not passed:
            return [f"{self.path} lists none of the {len(listed)} queries, such as {next(iter(listed))}"]
        more = [f"and {len(passed) - SHOWN} more such lines in {self.path}"] * (len(passed) > SHOWN)
        return [f"{told}: references of the scene are needed" for told in passed[:SHOWN]] + more

    def ranking(self, queries: ImageList, references: ImageList, num_frames: int) -> Retrieval:
        """The first `num_frames` references of each query in the list; the score is minus the rank.

        Lines of other queries are passed over; so are, with one remark, those whose second photo is no reference, such
        as another query, or one that is not in the map. A query that is not listed has no frames, and is logged.
        InputError if no query has any.
        """
        listed, passed = self._read(queries, references)
        problems = self._misfit(listed, passed)
        if problems:
            raise InputError(*problems)
        if passed:
            log.warning(
                "%d lines name no reference of the map and are passed over, such as: %s", len(passed), passed[0]
            )
        without = [name for name, found in listed.items() if not found]
        if without:
            log.warning("%s does not list %d queries, such as %s", self.path, len(without), without[0])
        num_frames = min(num_frames, max(map(len, listed.values()), default=0))
        index = np.full((len(listed), num_frames), -1, np.int32)
        for q, found in enumerate(listed.values()):
            unique = list(dict.fromkeys(found))[:num_frames]
            index[q, : len(unique)] = unique
        rank = -np.arange(num_frames, dtype=np.float32)
        score = np.where(index >= 0, rank[None], -np.inf)
        return Retrieval(queries.names, references.names, index, score)


def _what(name: str, other: str | None, query: str) -> str:
    """What a photo is that is no reference."""
    if other is None:
        return f"{name}, which is no photo of the scene"
    return "itself" if other == query else f"the query {name}"
