"""Train a dense CRBNet: one network for keypoints and bits, from the start or for a place of one's own."""

from localize.train.crbnet.loss import CrbnetLoss
from localize.train.dense.loss import DenseLoss
from localize.train.dense.parts import DenseData, DenseStart, DenseValidation
from localize.train.dense.teacher import Teacher
from localize.train.loop.training import Training
from localize.train.loop.training_loop import TrainingLoop

MEASURES = {"mma": "matching at 3 px", "mma_bits": "by bits", "mma_night": "with the second photo at night"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    validation: DenseValidation = DenseValidation(),
    data: DenseData = DenseData(),
    start: DenseStart = DenseStart(),
    crbnet: CrbnetLoss = CrbnetLoss(),
    loss: DenseLoss = DenseLoss(),
    loop: TrainingLoop = TrainingLoop(steps=10_000, learning_rate=0.002),
    **components,
) -> str:
    """Write `output`/weights.safetensors, curve.csv and training.png; says how well photos match with the weights.

    The settings are explained in conf/pipeline/train_dense.yaml; `feature` is the teacher. `workers` are threads of the
    network; one more makes the batches. The same call goes on from the checkpoint in `output`, if there is one;
    InputError if that was made with other settings or data, and for what cannot be used.
    """
    teacher = Teacher(components["feature"], tuple(data.single_photos))
    parts = {"start": start, "data": data, "teacher": teacher, "crbnet": crbnet, "loss": loss, "validation": validation}
    training = Training(output, workers, progress, loop=loop, **parts)
    batches, judge = data.batches(teacher, loop.seed), validation.judge()
    module = training.started(lambda: start.module(batches.dim))
    curve = training.run(module, batches, lambda m, batch: loss(m, batch, crbnet), judge)
    return training.finish(
        curve,
        module.network,
        {"network": "dense_crbnet"},
        measures=MEASURES,
        on="validation photos",
        name="weights.safetensors",
        use="feature=dense_crbnet feature.weights",
    )
