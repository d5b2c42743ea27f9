"""A retrieval list that somebody else made, such as the pairs files of hloc."""

import logging
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component
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
            listed, problems = self._read(scene.queries, scene.references)
        except InputError as e:
            return list(e.problems)
        if len(scene.queries) and not any(listed.values()):
            problems.append(f"{self.path} lists none of the {len(listed)} queries, such as {next(iter(listed))}")
        return problems

    def _read(self, queries: ImageList, references: ImageList) -> tuple[dict[str, list[int]], list[str]]:
        """Rows of the references listed for each query, and the lines that name a reference there is not."""
        rows = {name: i for i, name in enumerate(references.names)}
        listed, problems = {name: [] for name in queries.names}, []
        for number, query, reference in read_pairs(pathlib.Path(self.path)):
            if query in listed and reference in rows:
                listed[query].append(rows[reference])
            elif query in listed:
                problems.append(f"{self.path}:{number}: the scene has no reference {reference}")
        more = problems[SHOWN:]
        return listed, problems[:SHOWN] + [f"and {len(more)} more such lines in {self.path}"] * bool(more)

    def ranking(self, queries: ImageList, references: ImageList, num_frames: int) -> Retrieval:
        """The first `num_frames` references of each query in the list; the score is minus the rank.

        Lines of other queries are passed over. A query that is not listed has no frames, and is logged. InputError if
        no query is listed, or a listed reference is not in the scene.
        """
        listed, problems = self._read(queries, references)
        if problems:
            raise InputError(*problems)
        without = [name for name, found in listed.items() if not found]
        if len(without) == len(listed) and listed:
            raise InputError(f"{self.path} lists none of the {len(listed)} queries, such as {without[0]}")
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
