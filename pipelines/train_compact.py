"""Train the compact global descriptor on photos, with a large network as its teacher."""

import pathlib

import torch

from localize.io.compact_weights import load_compact
from localize.io.tensors import write_tensors
from localize.keys import file_digest, key_of
from localize.networks.compact import DIM
from localize.networks.shipped import weights_file
from localize.train.compact.batches import Recognition, ViewBatches
from localize.train.compact.loss import CompactLoss, Student
from localize.train.compact.places import Places, read_places
from localize.train.compact.teacher import Teacher
from localize.train.compact.views import Cut, make_views
from localize.train.loop.machine import choose_machine, keep_memory, threads
from localize.train.loop.plot import plot_training
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError

MEASURES = {"recall_1": "recall at 1", "recall_5": "recall at 5"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    train: tuple,
    validation: tuple,
    teacher: str = "resnet50v2",
    queries: str = "evening/",
    near_m: float = 12.0,
    validation_px: int = 256,
    same_m: float = 6.0,
    same_deg: float = 35.0,
    other_m: float = 25.0,
    versions: int = 12,
    spread: float = 0.75,
    maps_weight: float = 1.0,
    vector_weight: float = 4.0,
    place_weight: float = 1.0,
    shrink: float = 0.7,
    change: float = 0.6,
    night: float = 0.15,
    steps: int = 1000,
    batch_size: int = 24,
    learning_rate: float = 0.002,
    schedule: str = "linear",
    seed: int = 0,
    start_from: str | None = None,
    freeze_trunk: bool = False,
    precision: str = "auto",
    device: str = "auto",
    checkpoint_every: int = 100,
    validate_every: int = 250,
) -> str:
    """Write `output`/compact.safetensors, curve.csv, training.png and what the teacher saw; says how good it is.

    train, validation: folders of photos, with places.txt (train.places) where places are known; teacher: weights of
    ImageNet's ResNet-50 v2, by name or path; queries, near_m, validation_px: see train.compact.Recognition; same_m,
    same_deg, other_m: see train.places; versions: views of a photo; spread: how far the teacher's vectors are whitened;
    *_weight: of the loss terms; shrink, change, night: see ViewBatches; start_from: weights to go on
    from, shipped or a file; freeze_trunk: only the head learns; the rest as in TrainingLoop. `workers` are
    threads. The same call goes on where it was stopped; InputError if settings or photos are others.
    """
    folder = pathlib.Path(output)
    _check(train, validation, batch_size)
    path = weights_file(teacher, "pipeline.teacher")
    start_from = start_from and weights_file(start_from, "pipeline.start_from")
    loop = TrainingLoop(steps, learning_rate, schedule, precision, device, seed, checkpoint_every, validate_every)
    machine, loss = choose_machine(device, precision), CompactLoss(maps_weight, vector_weight, place_weight)
    places, others = read_places(list(train)), read_places(list(validation))
    judge = Recognition(others, queries, near_m, validation_px)
    cut = Cut(versions, seed=seed)
    views_of = {"teacher": file_digest(path), "precision": machine.precision, "cut": key_of(cut)}
    views_of |= {"photos": _digest(places)}
    made_from = views_of | {k: str(v) for k, v in vars(loss).items()}
    made_from |= {"same_m": same_m, "same_deg": same_deg, "other_m": other_m, "batch_size": batch_size}
    made_from |= {"start_from": start_from and file_digest(start_from), "freeze_trunk": freeze_trunk}
    made_from |= {"shrink": shrink, "change": change, "night": night, "spread": spread}
    made_from = {name: str(value) for name, value in made_from.items()}
    keep_memory()
    with threads(workers):
        views = make_views(
            folder / "views", places, cut, lambda: Teacher(path), machine, DIM, spread, views_of, progress
        )
        relations = places.relations(same_m, same_deg, other_m)
        batches = ViewBatches(views, relations, batch_size, shrink=shrink, change=change, night=night, seed=seed)
        with torch.random.fork_rng(), threads(1):  # the same random weights for any number of workers
            torch.manual_seed(seed)
            student = Student(start_from and load_compact(start_from), freeze_trunk=freeze_trunk)
        curve = loop.run(student, batches, loss, judge, folder=folder, made_from=made_from, progress=progress)
    first, last = curve.rows[0], curve.rows[-1]
    found = {name: last[name] for name in (*MEASURES, "seconds")}
    weights = folder / "compact.safetensors"
    settings = {name: str(value) for name, value in (vars(loop) | vars(machine)).items()}
    write_tensors(weights, student.compact, {"network": "compact"} | settings | made_from | found)
    plot_training(folder / "training.png", curve, MEASURES, "recall on other places (%)")
    change_of = ", ".join(f"{MEASURES[m]} from {float(first[m]):.1f} to {float(last[m]):.1f} %" for m in MEASURES)
    return (
        f"compact after {steps} steps: {change_of}, on the validation photos; the course is in "
        f"{folder / 'training.png'}.\nUse it with retrieval=compact retrieval.weights={weights.absolute()}"
    )


def _check(train, validation, batch_size) -> None:
    """InputError with all that is wrong with the settings which are the pipeline's own."""
    problems = []
    for name, folders in (("train", train), ("validation", validation)):
        if not isinstance(folders, list | tuple) or not folders or not all(isinstance(f, str) for f in folders):
            problems.append(f"pipeline.{name} is {folders!r}, but must be a list of folders, as [folder] or [one,two]")
    if type(batch_size) is not int or batch_size < 4 or batch_size % 2:
        problems.append(f"pipeline.batch_size is {batch_size!r}, but must be an even number of at least 4")
    if not problems:
        used = {pathlib.Path(f).resolve() for f in train}
        both = ", ".join(f for f in validation if pathlib.Path(f).resolve() in used)
        problems += [f"{both}: in pipeline.train and in pipeline.validation; validate on other places"] if both else []
    if problems:
        raise InputError(*problems)


def _digest(places: Places) -> str:
    return f"{len(places)}:{key_of([[file_digest(p) for p in places.paths], places.folders, places.centers])}"
