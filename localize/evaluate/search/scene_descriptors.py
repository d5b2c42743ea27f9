"""A map's real descriptors as a set to search in: its points, distractors from its photos, and queries.

A distractor is a keypoint of a reference that the map did not use, as a point of its own. Queries are observations left
out of the map, and keypoints of photos of known pose that lie where a point projects.
"""

from collections.abc import Collection, Mapping

import numpy as np

from localize.evaluate.search.descriptor_sets import DescriptorSet
from localize.types import Features, ImageList, Map

HELD_OUT = "held out"


def map_descriptors(
    model: Map,
    features: Mapping[str, Features],
    unsure: Mapping[str, Collection[int]],
    num_queries: int,
    seed: int,
    name: str,
) -> DescriptorSet:
    """The map's points and its references' other described keypoints; one observation of each of up to `num_queries`
    points with three or more is left out and asked for.

    unsure: by reference the keypoints that may show a point of the map, though it does not count them; left out.
    """
    owner = np.repeat(np.arange(len(model.points), dtype=np.int32), np.diff(model.indptr))
    asked = _chosen(model, num_queries, seed)
    first_distractor = len(model.points)
    parts, points, indptr = [], [], [0]
    queries, truth = [], []
    for i, image in enumerate(model.images):
        here = np.flatnonzero(model.image == i)
        found = features[image.name]
        described = found.descriptors.any(1)
        point = np.full(len(found), -2, np.int32)
        point[list(unsure.get(image.name, ()))] = -1
        point[model.keypoint[here]] = owner[here]
        free = np.flatnonzero((point == -2) & described)
        point[free] = first_distractor + np.arange(len(free))
        first_distractor += len(free)
        out = model.keypoint[here[asked[here]]]
        out = out[described[out]]
        queries.append(found.descriptors[out])
        truth.append(point[out])
        point[out] = -1
        used = np.flatnonzero((point >= 0) & described)
        parts.append(found.descriptors[used].astype(np.float16))
        points.append(point[used])
        indptr.append(indptr[-1] + len(used))
    return DescriptorSet(
        name=name,
        num_points=first_distractor,
        descriptors=np.concatenate(parts),
        point=np.concatenate(points),
        image_indptr=np.array(indptr),
        conditions=(HELD_OUT,),
        queries=np.concatenate(queries).astype(np.float32),
        truth=np.concatenate(truth),
        condition=np.zeros(sum(map(len, truth)), np.uint8),
    )


def _chosen(model: Map, number: int, seed: int) -> np.ndarray:
    """Which of the observations (M,) are left out: one of each chosen point."""
    rng = np.random.default_rng(seed)
    candidates = np.flatnonzero(np.diff(model.indptr) >= 3)
    points = rng.choice(candidates, min(number, len(candidates)), replace=False)
    asked = np.zeros(len(model.image), bool)
    asked[model.indptr[points] + rng.integers(np.diff(model.indptr)[points])] = True
    return asked


def with_queries(
    found: DescriptorSet,
    photos: ImageList,
    features: Mapping[str, Features],
    seen: tuple[np.ndarray, np.ndarray, np.ndarray],
    num_queries: int,
    seed: int,
) -> DescriptorSet:
    """The set with keypoints of posed photos as further queries, up to `num_queries` for each tag of the photos.

    seen: (photo, keypoint, point), each (N,): which keypoint of which photo shows which point.
    """
    rng = np.random.default_rng(seed)
    photo, keypoint, point = seen
    tag_of_photo = np.array([(image.tags or ("query",))[0] for image in photos])
    conditions, queries, truth, condition = [*found.conditions], [found.queries], [found.truth], [found.condition]
    for tag in dict.fromkeys(tag_of_photo):
        mine = np.flatnonzero(tag_of_photo[photo] == tag)
        mine = np.sort(rng.choice(mine, min(num_queries, len(mine)), replace=False))
        rows = [features[photos.images[photo[k]].name].descriptors[keypoint[k]] for k in mine]
        described = np.array([row.any() for row in rows], bool)
        if not described.any():
            continue
        conditions.append(str(tag))
        queries.append(np.stack(rows)[described].astype(np.float32))
        truth.append(point[mine][described].astype(np.int32))
        condition.append(np.full(np.count_nonzero(described), len(conditions) - 1, np.uint8))
    return DescriptorSet(
        found.name, found.num_points, found.descriptors, found.point, found.image_indptr,
        tuple(conditions), np.concatenate(queries), np.concatenate(truth), np.concatenate(condition),
    )  # fmt: skip


def distractors(photos: ImageList, features: Mapping[str, Features], name: str) -> DescriptorSet:
    """All described keypoints of photos of elsewhere, each as a point of its own; nothing is asked."""
    parts = []
    for image in photos:
        found = features[image.name].descriptors
        parts.append(found[found.any(1)].astype(np.float16))
    number = sum(map(len, parts))
    dim = parts[0].shape[1]
    return DescriptorSet(
        name, number, np.concatenate(parts), np.arange(number), np.cumsum([0, *map(len, parts)]),
        (), np.zeros((0, dim), np.float32), np.zeros(0, np.int32), np.zeros(0, np.uint8),
    )  # fmt: skip
