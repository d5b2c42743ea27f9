"""Train CRBNet on folders of patches, from the start or from weights that are there."""

import dataclasses

from localize.train.crbnet.loss import CrbnetLoss
from localize.train.crbnet.parts import PatchData, PatchStart, PatchValidation, check_apart
from localize.train.loop.training import Training
from localize.train.loop.training_loop import TrainingLoop

MEASURES = {"fpr95_real": "FPR95 real-valued", "fpr95_binary": "FPR95 binary"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    epochs: int | None = None,
    data: PatchData,
    validation: PatchValidation,
    start: PatchStart = PatchStart(),
    loss: CrbnetLoss = CrbnetLoss(),
    loop: TrainingLoop = TrainingLoop(),
) -> str:
    """Write `output`/weights.safetensors, curve.csv and training.png; says how good the weights are, and how to use
    them.

    `workers` are threads; epochs: how often all patches are seen, in place of `loop.steps`. The same call goes on from
    the checkpoint in `output`, if there is one; InputError if that was made with other settings or patches.
    """
    check_apart(data, validation)
    if epochs is not None:
        loop = dataclasses.replace(loop, steps=data.steps(epochs))
    training = Training(output, workers, progress, loop=loop, start=start, data=data, loss=loss, validation=validation)
    network = training.started(start.module)
    batches, judge = data.batches(loop.seed), validation.judge()
    curve = training.run(network, batches, lambda network, batch: loss(*network(batch).chunk(2)), judge)
    return training.finish(
        curve,
        network,
        {"network": start.network},
        measures=MEASURES,
        on="validation patches",
        name="weights.safetensors",
        use="feature=sift_crbnet feature.weights",
    )
