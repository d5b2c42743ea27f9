"""Train D2 features: the small network that ships, or VGG16's conv4_3 as the paper does."""

from localize.train.d2.data import D2Data, D2Validation
from localize.train.d2.loss import D2Loss
from localize.train.d2.start import D2Start
from localize.train.loop.training import Training
from localize.train.loop.training_loop import TrainingLoop

MEASURES = {"mma": "mean matching accuracy at 3 px"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    validation: D2Validation,
    data: D2Data = D2Data(),
    start: D2Start = D2Start(),
    loss: D2Loss = D2Loss(contrast=1.0, warmup=600),
    loop: TrainingLoop = TrainingLoop(steps=2500, learning_rate=0.001, validate_every=250),
) -> str:
    """Write `output`/weights.safetensors, curve.csv and training.png; says how well photos match with the weights.

    The settings are explained in conf/pipeline/train_d2.yaml. `workers` are threads. The same call goes on from the
    checkpoint in `output`, if there is one; InputError if that was made with other settings or data, and for what
    cannot be used.
    """
    training = Training(output, workers, progress, loop=loop, start=start, data=data, loss=loss, validation=validation)
    module = training.started(start.module)
    batches, judge = data.batches(module.network, loop.seed), validation.judge()
    curve = training.run(module, batches, lambda m, batch: loss(m(batch.images), batch.matches, batch.step), judge)
    return training.finish(
        curve,
        *start.kept(module),
        measures=MEASURES,
        on="validation sequences",
        name="weights.safetensors",
        use=f"feature=d2net feature.backbone={start.network} feature.weights",
    )
