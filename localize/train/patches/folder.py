"""Folders of patches, in the format of UBC PhotoTour, as the pipelines that make them leave them behind."""

import pathlib

import numpy as np

from localize.io.benchmarks.phototour import draw_pairs, read_phototour, write_pairs, write_phototour
from localize.kernels.patches import halved
from localize.train.patches.sets import PatchSet, trainable
from localize.types import InputError

HALVED_AT_ONCE = 10_000  # patches
PAIRS = 20_000  # lines of the list of test pairs, half of them matching


def write_patches(folder: pathlib.Path, patches: PatchSet, images: np.ndarray, source: str, seed: int = 0) -> str:
    """Write what is worth training on, with a list of test pairs; says how much it is and what to type next.

    patches of 64 px; images (N,): the photo each is of; `source` in words, for the sentence. InputError if no point
    has two patches.
    """
    kept, images = trainable(patches, images)
    if not len(kept):
        raise InputError(f"{source} gave no point with two patches: more photos of the same place are needed")
    write_phototour(folder, kept.patches, kept.points, images)
    points = len(np.unique(kept.points))
    num = min(PAIRS // 2, len(kept) - points)  # each patch is in two matching pairs at most
    if points > 1:
        first, second, _ = draw_pairs(kept.points, num, seed)
        write_pairs(folder, f"m50_{2 * num}_{2 * num}_0.txt", first, second, kept.points)
    return (
        f"{len(kept)} patches of {points} points from {source} are in {folder}. Train on them with\n"
        f"python -m localize +pipeline=train_crbnet 'pipeline.data.patches=[{folder}]' "
        "'pipeline.validation.patches=[ANOTHER FOLDER]'"
    )


def read_patches(folder: str | pathlib.Path) -> PatchSet:
    """What is worth training on in a folder, in the networks' size; InputError if that is nothing."""
    patches, points = read_phototour(folder)
    parts = [halved(patches[i : i + HALVED_AT_ONCE]) for i in range(0, len(patches), HALVED_AT_ONCE)]
    (kept,) = trainable(PatchSet(np.concatenate([patches[:0, ::2, ::2], *parts]), points))
    if not len(kept):
        raise InputError(f"{folder} has no point with two patches: nothing can be learned from it")
    return kept
