"""Poses of some references, by the points that they see together with the others, whose poses stay."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localize.mapping.adjust import Adjusted, adjust
from localize.stages.descriptors import DescribedReferences
from localize.stages.mapping import choose_pairs, match_pairs, triangulate
from localize.stages.photos import Photos
from localize.stages.workbench import Workbench
from localize.types import ImageList

if TYPE_CHECKING:
    from localize.roles import Components

PASSES = 2  # points that the first poses missed are found by the next ones


def adjust_poses(
    bench: Workbench,
    use: "Components",
    references: Photos,
    described: DescribedReferences | None,
    free: tuple[str, ...],
    lenses: Mapping[str, str],
) -> tuple[ImageList, Adjusted]:
    """The references with adjusted poses (and lenses) of the free ones, and how well these fit: see `mapping.adjust`.

    Points and poses are made in turns. InputError if no point comes out.
    """
    features = references.features
    for _ in range(PASSES):
        pairs = choose_pairs(bench, use.mapping, references, described)
        matches = match_pairs(bench, use.pair_matching, pairs, references)
        tracks, key = triangulate(bench, use.mapping, references, matches)
        spec = {"adjustment": Adjusted.VERSION, "map": key, "free": list(free), "lenses": dict(lenses)}

        def build(tracks=tracks) -> Adjusted:
            return adjust(tracks, {n: features[n].keypoints for n in tracks.images.names}, free, lenses)

        adjusted, _ = bench.artifact("adjustment", spec, build)
        references = dataclasses.replace(references, images=moved(references.images, adjusted))
    return references.images, adjusted


def moved(images: ImageList, adjusted: Adjusted) -> ImageList:
    """The images with the poses and cameras of the adjustment."""
    row = {name: i for i, name in enumerate(adjusted.names)}
    return ImageList(
        image
        if image.name not in row
        else dataclasses.replace(image, pose=adjusted.pose(row[image.name]), camera=adjusted.cameras[row[image.name]])
        for image in images
    )
