"""Train HOW and the modules that give it spatial context, by HOW's recipe, on photos that show the same places."""

import dataclasses
import json

import numpy as np
import torch

from localize.train.compact.parts import check_apart
from localize.train.loop.training import Training
from localize.train.spatial.loss import SpatialLoss
from localize.train.spatial.parts import SpatialData, SpatialStart, SpatialValidation
from localize.train.spatial.recipe import SpatialLoop
from localize.train.spatial.reduction import learn_reduction
from localize.weights.how import NETWORK

MEASURES = {"recall_1": "recall at 1", "recall_5": "recall at 5", "mean_ap": "mean average precision"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    data: SpatialData,
    validation: SpatialValidation,
    start: SpatialStart = SpatialStart(),
    loss: SpatialLoss = SpatialLoss(),
    loop: SpatialLoop = SpatialLoop(),
) -> str:
    """Write `output`/how.safetensors, curve.csv, training.png, tuples and, unless they lie elsewhere, the trunk's maps.

    Says how good it is. `workers` are threads. The same call goes on where it was stopped; InputError if settings or
    photos are others, or if nothing of the network learns.
    """
    check_apart(data, validation)
    training = Training(output, workers, progress, loop=loop, start=start, data=data, loss=loss, validation=validation)
    machine = loop.machine()
    learner = training.started(start.module).to(machine.device, memory_format=torch.channels_last)
    loop.groups(learner)  # refuses, before the work, what has nothing to learn
    with training.threads():
        maps = data.trunk_maps(learner, start, machine, training.folder)
        judge = validation.judge(maps)
        if start.is_new():
            rng = np.random.default_rng([loop.seed, 5])
            learn_reduction(learner, maps, np.sort(rng.permutation(len(maps.paths))[: data.reduction_photos]), progress)
    batches = data.batches(learner, maps, loop, training.folder, progress)
    curve = training.run(learner, batches, loss, judge)
    settings = json.dumps(dataclasses.asdict(learner.how.settings))
    said = training.finish(
        curve,
        learner.how,
        {"network": NETWORK, "settings": settings},
        measures=MEASURES,
        on="validation photos",
        name="how.safetensors",
        use="retrieval=how retrieval.weights",
    )
    if validation.words:
        first, last = (float(row["visual_words"]) for row in (curve.rows[0], curve.rows[-1]))
        said += f"\nVisual words of a photo (C_X): from {first:.1f} to {last:.1f}"
    return said
