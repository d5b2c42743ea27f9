"""Patches of photo sequences with known homographies, such as HPatches: to validate descriptors on."""

import pathlib

import numpy as np

from localize.io.benchmarks.sequences import read_sequence
from localize.io.images import read_photo
from localize.progress import counted
from localize.train.patches.folder import write_patches
from localize.train.patches.from_photos import check_extracts
from localize.train.patches.from_sequences import sequence_patches
from localize.train.patches.sets import joined
from localize.types import InputError


def run(
    *,
    output: str,
    progress: bool = False,
    sequences: tuple,
    coefficient: float = 13.0,
    seed: int = 0,
    **components,
) -> str:
    """Write `output`/patches in the format of UBC PhotoTour; says how many there are and what to type next.

    sequences: folders with photos 1 to 6 and H_1_2 to H_1_6. InputError names every folder that lacks something.
    """
    feature = components["feature"]
    check_extracts(feature)
    folders = [pathlib.Path(s).expanduser() for s in ([sequences] if isinstance(sequences, str) else sequences)]
    problems, sets = [], []
    for folder in counted(folders, "sequences", shown=progress):
        try:
            sequence = read_sequence(folder)
            photos = [read_photo(path, grey=True) for path in sequence.photos]
        except InputError as e:
            problems += e.problems
            continue
        if not problems:  # else only look for more of them
            sets.append(sequence_patches(photos, sequence.homographies, feature, coefficient=coefficient, seed=seed))
    if problems:
        raise InputError(*problems)
    if not sets:
        raise InputError("pipeline.sequences is empty: name folders with 1.ppm to 6.ppm and H_1_2 to H_1_6")
    images = np.repeat(np.arange(len(sets)), [len(s) for s in sets])
    return write_patches(pathlib.Path(output) / "patches", joined(sets), images, f"{len(sets)} sequences", seed)
