"""Train the compact global descriptor on photos, with a large network as its teacher."""

from localize.train.compact.loss import CompactLoss
from localize.train.compact.parts import CompactData, CompactStart, CompactValidation, check_apart
from localize.train.loop.training import Training
from localize.train.loop.training_loop import TrainingLoop

MEASURES = {"recall_1": "recall at 1", "recall_5": "recall at 5"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    data: CompactData,
    validation: CompactValidation,
    start: CompactStart = CompactStart(),
    loss: CompactLoss = CompactLoss(vector=4.0),
    loop: TrainingLoop = TrainingLoop(steps=1000, learning_rate=0.002, checkpoint_every=100, validate_every=250),
) -> str:
    """Write `output`/compact.safetensors, curve.csv, training.png and what the teacher saw; says how good it is.

    `workers` are threads. The same call goes on where it was stopped; InputError if settings or photos are others.
    """
    check_apart(data, validation)
    training = Training(output, workers, progress, loop=loop, start=start, data=data, loss=loss, validation=validation)
    judge = validation.judge()
    with training.threads():
        batches = data.batches(loop.seed, training.folder / "views", loop.machine(), progress=progress)
    student = training.started(start.module)
    curve = training.run(student, batches, loss, judge)
    return training.finish(
        curve,
        student.compact,
        {"network": "compact"},
        measures=MEASURES,
        on="validation photos",
        name="compact.safetensors",
        use="retrieval=compact retrieval.weights",
    )
