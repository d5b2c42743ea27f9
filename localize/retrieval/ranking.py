"""Nearest references: by global descriptor, or by the poses alone."""

import dataclasses
from collections.abc import Callable, Iterable
from itertools import zip_longest

import numpy as np

from localize.retrieval.base import Ranking, RankingSources, RerankedRanking, Reranker, RestrictedRanking
from localize.retrieval.exact import ExactRanking
from localize.types import ImageList, InputError, Retrieval

QUERY_BYTES = 1 << 30  # of queries in float32 at a time, as all references of a large map are when pairs are chosen


def rank(
    queries: ImageList,
    query_vectors: np.ndarray,
    references: ImageList,
    reference_vectors: np.ndarray,
    num_frames: int,
    ranking: Ranking = ExactRanking(),
    built=None,
    *,
    prepared: tuple = (),
    restricted: bool = True,
    query_features=None,
    reference_features=None,
    namesakes: bool = True,
    look: Callable[[Reranker, Retrieval], dict] | None = None,
) -> Retrieval:
    """The `num_frames` most similar references of each query by dot product, never the query itself.

    query_vectors (Q, D) float32, reference_vectors (R, D) float32 or float16; built: what `ranking.build` made of
    these, if it has one; prepared: what its re-rankers' `build` made, one each. Unless `restricted` is False, the
    ranking's restrictions hold and its re-rankers are applied; those may look at the features, by photo name.
    namesakes: a query and a reference of one name are one photo. look: called with each re-ranker and what it is to put
    into order, gives further fields of its RankingSources.
    """
    if query_vectors.shape[1] != reference_vectors.shape[1] and len(queries) and len(references):
        dims = query_vectors.shape[1], reference_vectors.shape[1]
        raise InputError(
            f"the queries' vectors have {dims[0]} values and the references' {dims[1]}: describe both alike"
        )
    rerankers = ranking.rerank if restricted and isinstance(ranking, RerankedRanking) else ()
    num_ranked = max(num_frames, ranking.num_reranked) if rerankers else num_frames
    asked = queries, query_vectors, references, reference_vectors
    searches = _searches(ranking if restricted else None, queries, references)
    if rerankers:
        searches = list(searches)  # they are told too
    rows = {name: q for q, name in enumerate(queries.names) if namesakes}
    own = {rows[name]: i for i, name in enumerate(references.names) if name in rows}
    found = _ranked(*asked, num_ranked, ranking, built, searches, own)
    if rerankers:
        allowed = {int(q): among for rows, among in searches if among is not None for q in rows}
        sources = RankingSources(*asked, query_features, reference_features, allowed=allowed, own=own)
    for reranker, its in zip_longest(rerankers, prepared[: len(rerankers)]):
        seen = {} if look is None else look(reranker, found)
        found = reranker.rerank(found, dataclasses.replace(sources, built=its, **seen))
    return Retrieval(
        found.query_names, found.reference_names, found.ranked[:, :num_frames], found.scores[:, :num_frames]
    )


def _searches(ranking: Ranking | None, queries: ImageList, references: ImageList) -> Iterable:
    """Rows of queries, and rows of the references they may find or None for all."""
    if isinstance(ranking, RestrictedRanking):
        return ranking.searches(queries, references)
    return [(np.arange(len(queries)), None)]


def _ranked(queries, query_vectors, references, vectors, num_ranked, ranking, built, searches, own) -> Retrieval:
    """By similarity alone. own: by row of a query, the reference that is the same photo."""
    num_ranked = min(num_ranked, len(references))
    index = np.full((len(queries), num_ranked), -1, np.int32)
    score = np.full((len(queries), num_ranked), -np.inf, np.float32)
    at_once = max(1, QUERY_BYTES // (4 * max(1, query_vectors.shape[1])))
    for rows, allowed in searches:
        among = len(references) if allowed is None else len(allowed)
        if not among:
            continue
        ahead = min(among, num_ranked + 1)  # one more, as the photo itself may be among them
        rows_allowed = None if allowed is None or among == len(references) else allowed
        for part in (rows[at : at + at_once] for at in range(0, len(rows), at_once)):
            scores, found = ranking.search(built, vectors, query_vectors[part], ahead, rows_allowed)
            for q, s, f in zip(part, scores, found, strict=True):
                kept = np.flatnonzero((f >= 0) & (f != own.get(int(q), -1)))
                order = kept[np.lexsort((f[kept], -s[kept]))][:num_ranked]
                index[q, : len(order)], score[q, : len(order)] = f[order], s[order]
    return Retrieval(queries.names, references.names, index, score)


def rank_by_pose(images: ImageList, num_frames: int, *, max_angle_deg: float = 45.0) -> Retrieval:
    """For each image the `num_frames` nearest others whose optical axes are within `max_angle_deg` of its own.

    Stands in for descriptors where there are none. The score is minus the distance of the centres in metres.
    """
    num_frames = min(num_frames, len(images))
    centers = np.array([image.pose.center for image in images]).reshape(-1, 3)
    axes = np.array([image.pose.rotation[2] for image in images]).reshape(-1, 3)
    index = np.full((len(images), num_frames), -1, np.int32)
    score = np.full((len(images), num_frames), -np.inf, np.float32)
    for i in range(len(images)):
        distance_m = np.linalg.norm(centers - centers[i], axis=1)
        distance_m[axes @ axes[i] < np.cos(np.radians(max_angle_deg))] = np.inf
        distance_m[i] = np.inf
        order = np.argsort(distance_m, kind="stable")[:num_frames]
        order = order[np.isfinite(distance_m[order])]
        index[i, : len(order)], score[i, : len(order)] = order, -distance_m[order]
    return Retrieval(images.names, images.names, index, score)
