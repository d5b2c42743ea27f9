"""Prior frames: the references most similar to each query."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localize.retrieval.ranking import rank
from localize.stages.descriptors import DescribedPhotos, DescribedReferences
from localize.stages.photos import Photos
from localize.stages.reranking import Looks
from localize.stages.workbench import Workbench
from localize.types import Retrieval

if TYPE_CHECKING:
    from localize.roles import Components


@dataclass(frozen=True, eq=False)
class PriorFrames:
    """The references retrieved for each query."""

    retrieved: Retrieval
    seconds: dict[str, float] = field(default_factory=dict)  # that the description of each query took, where any did


def retrieve(bench: Workbench, use: "Components", queries: Photos, references: DescribedReferences) -> PriorFrames:
    """The references most similar to each query, best first, or those that a list of pairs names."""
    num_frames = use.search.num_frames
    if references.by is None:
        return PriorFrames(use.retrieval.ranking(queries.images, references.photos.images, num_frames))
    described = references.by.describe(bench, queries)
    return PriorFrames(rank_photos(bench, described, references, num_frames), described.seconds)


def rank_photos(
    bench: Workbench,
    queries: DescribedPhotos,
    references: DescribedReferences,
    num_frames: int,
    look: Looks | None = None,
) -> Retrieval:
    """The references most similar to each described query, best first. look: finds what re-rankers look at."""
    theirs, ours = queries.photos.paths, references.photos.paths
    with bench.stage("ranking") as record:
        record.computed = 1
        return rank(
            queries.photos.images,
            queries.vectors,
            references.photos.images,
            references.vectors,
            num_frames,
            references.ranking.component,
            references.ranking.built,
            prepared=references.ranking.rerankers,
            query_features=queries.photos.features,
            reference_features=references.photos.features,
            namesakes=all(ours.get(name, path) == path for name, path in theirs.items()),
            look=look or Looks(bench, queries.photos, references.photos),
        )
