"""Nearest references: by global descriptor (exact search by faiss), or by the poses alone."""

from collections.abc import Iterator

import faiss
import numpy as np

from localize.types import ImageList, Retrieval


def rank(
    queries: ImageList,
    query_vectors: np.ndarray,
    references: ImageList,
    reference_vectors: np.ndarray,
    num_frames: int,
    *,
    grouped: bool = True,
) -> Retrieval:
    """The `num_frames` most similar references of each query by dot product, never the query itself.

    query_vectors (Q, D), reference_vectors (R, D) float32. Ties go to the earlier reference. A query with groups is
    compared only with the references that share one, unless `grouped` is False.
    """
    num_frames = min(num_frames, len(references))
    same = {name: i for i, name in enumerate(references.names)}
    index = np.full((len(queries), num_frames), -1, np.int32)
    score = np.full((len(queries), num_frames), -np.inf, np.float32)
    vectors = np.ascontiguousarray(reference_vectors, np.float32)
    for rows, allowed in _searches(queries, references, grouped):
        if not len(allowed):
            continue
        among = vectors if len(allowed) == len(vectors) else vectors[allowed]  # a city's are 1 GB: no copy, no index
        ahead = min(len(allowed), num_frames + 1)  # one more, as the photo itself may be among them
        asked = np.ascontiguousarray(query_vectors[rows], np.float32)
        scores, found = faiss.knn(asked, among, ahead, metric=faiss.METRIC_INNER_PRODUCT)
        for q, s, f in zip(rows, scores, allowed[found], strict=True):
            order = np.lexsort((f, -s))
            order = order[f[order] != same.get(queries.names[q], -1)][:num_frames]
            index[q, : len(order)], score[q, : len(order)] = f[order], s[order]
    return Retrieval(queries.names, references.names, index, score)


def _searches(queries: ImageList, references: ImageList, grouped: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(rows of queries, rows of the references they are compared with), each query once."""
    by_groups: dict[tuple, list[int]] = {}
    for i, query in enumerate(queries):
        by_groups.setdefault(query.groups if grouped else (), []).append(i)
    for groups, rows in by_groups.items():
        wanted = set(groups)
        allowed = [i for i, image in enumerate(references) if not wanted or wanted & set(image.groups)]
        yield np.array(rows), np.array(allowed, np.int64)


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
