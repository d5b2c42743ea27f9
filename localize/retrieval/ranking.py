"""Nearest references: by global descriptor, or by the poses alone."""

import numpy as np

from localize.retrieval.base import Ranking, RankingSources, RerankedRanking, RestrictedRanking
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
    restricted: bool = True,
    query_features=None,
    reference_features=None,
    namesakes: bool = True,
) -> Retrieval:
    """The `num_frames` most similar references of each query by dot product, never the query itself.

    query_vectors (Q, D) float32, reference_vectors (R, D) float32 or float16; built: what `ranking.build` made of
    these, if it has one. Unless `restricted` is False, the ranking's restrictions hold and its re-rankers are applied;
    those may look at the features, by photo name. namesakes: a query and a reference of one name are one photo.
    """
    if query_vectors.shape[1] != reference_vectors.shape[1] and len(queries) and len(references):
        dims = query_vectors.shape[1], reference_vectors.shape[1]
        raise InputError(
            f"the queries' vectors have {dims[0]} values and the references' {dims[1]}: describe both alike"
        )
    rerankers = ranking.rerank if restricted and isinstance(ranking, RerankedRanking) else ()
    num_ranked = max(num_frames, ranking.num_reranked) if rerankers else num_frames
    asked = queries, query_vectors, references, reference_vectors
    found = _ranked(*asked, num_ranked, ranking, built, restricted, namesakes)
    sources = RankingSources(*asked, query_features, reference_features)
    for reranker in rerankers:
        found = reranker.rerank(found, sources)
    return Retrieval(
        found.query_names, found.reference_names, found.ranked[:, :num_frames], found.scores[:, :num_frames]
    )


def _ranked(
    queries, query_vectors, references, vectors, num_ranked, ranking, built, restricted, namesakes
) -> Retrieval:
    """By similarity alone."""
    num_ranked = min(num_ranked, len(references))
    same = {name: i for i, name in enumerate(references.names) if namesakes}
    index = np.full((len(queries), num_ranked), -1, np.int32)
    score = np.full((len(queries), num_ranked), -np.inf, np.float32)
    at_once = max(1, QUERY_BYTES // (4 * max(1, query_vectors.shape[1])))
    if restricted and isinstance(ranking, RestrictedRanking):
        searches = ranking.searches(queries, references)
    else:
        searches = [(np.arange(len(queries)), None)]  # all queries among all references
    for rows, allowed in searches:
        among = len(references) if allowed is None else len(allowed)
        if not among:
            continue
        ahead = min(among, num_ranked + 1)  # one more, as the photo itself may be among them
        rows_allowed = None if allowed is None or among == len(references) else allowed
        for part in (rows[at : at + at_once] for at in range(0, len(rows), at_once)):
            scores, found = ranking.search(built, vectors, query_vectors[part], ahead, rows_allowed)
            for q, s, f in zip(part, scores, found, strict=True):
                kept = np.flatnonzero((f >= 0) & (f != same.get(queries.names[q], -1)))
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
