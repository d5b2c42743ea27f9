"""Regions that re-rankers look at, found once for each photo and kept by its content."""

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from localize.retrieval.base import NothingLearned, RegionReranker, Reranker
from localize.retrieval.kept_regions import kept
from localize.stages.photos import Photos, Stamps, learn_from
from localize.stages.ranking import BuiltRanking
from localize.stages.shelved import Shelved
from localize.stages.workbench import Workbench
from localize.types import Regions, Retrieval, VisualWords


@dataclass(frozen=True, eq=False)
class RegionFinder:
    """A re-ranker by regions, what it learned from the references, and what decides the regions it finds."""

    component: RegionReranker
    learned: object
    spec: dict
    stamps: Stamps  # of the component's files when the key was taken

    def find(self, bench: Workbench, photos: Photos, names: Iterable[str], *, of_query: bool) -> Shelved:
        """The regions of these photos by name, from the store or found now."""
        shelf = bench.store.shelf("regions", self.spec | {"of_query": of_query})
        keys = {name: photos.digests[name] for name in names}
        work = functools.partial(self._find, of_query)
        return bench.fill(f"{photos.kind}_regions", shelf, keys, work, read=photos.read)

    def _find(self, of_query: bool, name: str, pixels: np.ndarray) -> Regions | VisualWords:
        found = self.component.find_regions(pixels, self.learned, of_query=of_query)
        self.stamps.check()
        return found


def learn_regions(bench: Workbench, reranker: RegionReranker, references: Photos) -> RegionFinder:
    """The re-ranker after it has learned from the references; what learns nothing is keyed without them."""
    made = learn_from(bench, "region_model", "reranker", reranker, references)
    spec = made.spec if isinstance(made.learned, NothingLearned) else {"model": made.key}
    return RegionFinder(reranker, made.learned, spec, made.stamps)


class Looks:
    """What `rank` asks for each re-ranker: the regions of those photos alone that it is to compare."""

    def __init__(self, bench: Workbench, queries: Photos, references: Photos):
        self.bench, self.queries, self.references = bench, queries, references
        self.regions: tuple[Shelved, Shelved] | None = None  # of the queries and references looked at last

    def __call__(self, reranker: Reranker, found: Retrieval) -> dict:
        """Further fields of RankingSources."""
        if not isinstance(reranker, RegionReranker):
            return {"threads": self.bench.workers}
        finder, rows = learn_regions(self.bench, reranker, self.references), found.ranked[:, : reranker.num_verified]
        asked = [name for name, row in zip(found.query_names, rows, strict=True) if (row >= 0).any()]
        needed = [found.reference_names[row] for row in np.unique(rows) if row >= 0]
        if reranker.num_verified is None:
            needed = found.reference_names
        queries = finder.find(self.bench, self.queries, asked, of_query=True)
        references = finder.find(self.bench, self.references, needed, of_query=False)
        self.regions = queries, references
        return {"threads": self.bench.workers, "query_regions": queries, "reference_regions": references}


def keep_regions(bench: Workbench, ranking: BuiltRanking, references: Photos) -> BuiltRanking:
    """The ranking with the regions of all references, so that a saved map's re-rankers can answer new photos."""
    built = list(ranking.rerankers)
    for i in range(len(built)):
        reranker, names = ranking.component.rerank[i], references.images.names
        if isinstance(reranker, RegionReranker):
            finder = learn_regions(bench, reranker, references)
            found = finder.find(bench, references, names, of_query=False)
            built[i] = kept(finder.learned, names, (found[name] for name in names))
    return dataclasses.replace(ranking, rerankers=tuple(built))
