"""Train CRBNet on folders of patches, from the start or from weights that are there."""

import pathlib

import torch

from localize.io.network_weights import load_weights, save_weights
from localize.keys import file_digest, key_of
from localize.networks.patches import NAMES, patch_network
from localize.networks.shipped import weights_file
from localize.train.crbnet.batches import PairBatches, Verification
from localize.train.crbnet.loss import CrbnetLoss
from localize.train.loop.machine import choose_machine, keep_memory, threads
from localize.train.loop.plot import plot_training
from localize.train.loop.training_loop import TrainingLoop
from localize.train.patches.folder import read_patches
from localize.train.patches.sets import PatchSet, joined
from localize.types import InputError

MEASURES = {"fpr95_real": "real-valued", "fpr95_binary": "binary"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    train: tuple,
    validation: tuple,
    network: str = "crbnet256_lite",
    bits: bool = True,
    steps: int = 20_000,
    pairs_per_batch: int = 1024,
    learning_rate: float = 0.01,
    schedule: str = "linear",
    turn: bool = True,
    augment: float = 0.5,
    seed: int = 0,
    start_from: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    checkpoint_every: int = 200,
    validate_every: int = 500,
) -> str:
    """Write `output`/weights.safetensors, curve.csv and training.png; says how good the weights are, and how to use
    them.

    train, validation: folders in the format of UBC PhotoTour; network: one of networks.patches.NAMES; bits: False
    leaves out the loss of the bits, as the paper's CRBNet(N); turn, augment: see PairBatches; start_from: a weights
    file to go on from, or the name of shipped ones; the rest as in TrainingLoop. `workers` are threads. The
    same call goes on from the checkpoint in `output`, if there is one; InputError if that was made with other settings
    or patches.
    """
    folder = pathlib.Path(output)
    start_from = start_from and weights_file(start_from, "pipeline.start_from")
    loop = TrainingLoop(steps, learning_rate, schedule, precision, device, seed, checkpoint_every, validate_every)
    machine, loss = choose_machine(device, precision), CrbnetLoss(bits=bits)
    _check(train, validation, network, pairs_per_batch, turn, augment)
    with threads(1):  # so that the random weights are the same for any number of workers
        module = _start(network, start_from, seed)
    sets = {
        name: [read_patches(f) for f in folders] for name, folders in (("train", train), ("validation", validation))
    }
    made_from = {"network": network, "bits": bits, "pairs_per_batch": pairs_per_batch, "turn": turn}
    made_from |= {"augment": float(augment), "start_from": start_from and file_digest(start_from)}
    made_from |= {f"{name} patches": " ".join(map(_digest, parts)) for name, parts in sets.items()}
    made_from = {name: str(value) for name, value in made_from.items()}
    _check_apart(made_from)
    keep_memory()
    with threads(workers):
        curve = loop.run(
            module,
            PairBatches(joined(sets.pop("train")), pairs_per_batch, turn=turn, augment=augment, seed=seed),
            lambda module, batch: loss(*module(batch).chunk(2)),
            Verification(sets.pop("validation")),  # popped: the folders' own arrays need not stay in memory
            folder=folder,
            made_from=made_from,
            progress=progress,
        )
    found = {name: curve.rows[-1][name] for name in MEASURES}
    path = folder / "weights.safetensors"
    settings = {name: str(value) for name, value in (vars(loop) | vars(machine)).items()}
    save_weights(path, module, network, settings | made_from | found | {"seconds": curve.rows[-1]["seconds"]})
    plot_training(folder / "training.png", curve, MEASURES)
    change = {m: f"from {float(curve.rows[0][m]):.2f} to {float(found[m]):.2f} %" for m in MEASURES}
    quality = ", ".join(f"{change[m]} {label}" for m, label in MEASURES.items())
    return (
        f"{network} after {steps} steps: FPR95 {quality}, on the validation patches; the course is in "
        f"{folder / 'training.png'}.\nUse it with feature=sift_crbnet feature.weights={path.absolute()}"
    )


def _check(train, validation, network: str, pairs_per_batch: int, turn: bool, augment: float) -> None:
    """InputError with all that is wrong with the settings which are the pipeline's own."""
    problems = []
    for name, folders in (("train", train), ("validation", validation)):
        if not isinstance(folders, list | tuple) or not folders or not all(isinstance(f, str) for f in folders):
            problems.append(f"pipeline.{name} is {folders!r}, but must be a list of folders, as [folder] or [one,two]")
    if not problems:
        used = {pathlib.Path(f).resolve() for f in train}
        problems += ["pipeline.train names a folder twice: its points would pass for others"] * (len(used) < len(train))
        both = ", ".join(f for f in validation if pathlib.Path(f).resolve() in used)
        problems += [f"{both}: in pipeline.train and in pipeline.validation; validate on other places"] if both else []
    if network not in NAMES:
        problems.append(f"pipeline.network is {network!r}, but must be one of: {', '.join(NAMES)}")
    if type(pairs_per_batch) is not int or pairs_per_batch < 2:
        problems.append(f"pipeline.pairs_per_batch is {pairs_per_batch!r}, but must be a whole number of at least 2")
    if type(turn) is not bool:
        problems.append(f"pipeline.turn is {turn!r}, but must be true or false")
    if type(augment) not in (int, float) or not 0 <= augment <= 1:
        problems.append(f"pipeline.augment is {augment!r}, but must be a number from 0 to 1")
    if problems:
        raise InputError(*problems)


def _check_apart(made_from: dict[str, str]) -> None:
    """InputError if a folder to train on and one to validate on hold the same patches."""
    if set(made_from["train patches"].split()) & set(made_from["validation patches"].split()):
        raise InputError("a folder of pipeline.validation holds the patches of one of pipeline.train: take another")


def _digest(patches: PatchSet) -> str:
    return f"{len(patches)}:{key_of(vars(patches))}"


def _start(network: str, start_from: str | None, seed: int):
    """The network with random weights, or those of a file."""
    if start_from is None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return patch_network(network)
    module, metadata = load_weights(start_from)
    if metadata["network"] != network:
        raise InputError(f"{start_from} is of another network: add pipeline.network={metadata['network']}")
    return module
