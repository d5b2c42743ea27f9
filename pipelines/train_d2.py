"""Train D2 features: the small network that ships, or VGG16's conv4_3 as the paper does."""

import logging
import pathlib

import torch
from torch import nn

from localize.io.d2_weights import OFFICIAL, VGG
from localize.io.images import list_photos
from localize.io.megadepth import read_scene_info
from localize.io.tensors import filled, read_tensors, tensors_digest, write_tensors
from localize.io.trunk_weights import trunk_tensors
from localize.keys import file_digest, key_of
from localize.networks.shipped import shipped_names, weights_file
from localize.train.d2.depth import DepthPairs, megadepth_scene, town_scene
from localize.train.d2.loss import D2Loss
from localize.train.d2.network import LAYERS, NETWORKS, D2Batches, Matching, Trained, d2_training_network
from localize.train.d2.photos import WarpedPhotos
from localize.train.loop.machine import choose_machine, keep_memory, threads
from localize.train.loop.plot import plot_training
from localize.train.loop.training_loop import TrainingLoop
from localize.types import InputError

log = logging.getLogger(__name__)
MEASURES = {"mma": "mean matching accuracy at 3 px"}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    validation: tuple,
    photos: tuple = (),
    towns: tuple = (),
    megadepth: str | None = None,
    scenes: tuple = (),
    shares: tuple = (),
    network: str = "small",
    train_layers: str = "all",
    start_from: str | None = None,
    trunk: str | None = None,
    steps: int = 2500,
    pairs_per_step: int = 2,
    size: int = 192,
    min_matches: int = 128,
    max_matches: int | None = 768,
    min_overlap: float = 0.3,
    depth_tolerance: float = 0.02,
    relative_depth: bool = True,
    augment: float = 0.3,
    night_share: float = 0.4,
    safe_radius: int = 4,
    relu: bool = False,
    contrast: float = 1.0,
    warmup: int = 600,
    learning_rate: float = 0.001,
    schedule: str = "linear",
    seed: int = 0,
    precision: str = "auto",
    device: str = "auto",
    checkpoint_every: int = 200,
    validate_every: int = 250,
) -> str:
    """Write `output`/weights.safetensors, curve.csv and training.png; says how well photos match with the weights.

    The parameters are explained in conf/pipeline/train_d2.yaml. `workers` are threads. The same call
    goes on from the checkpoint in `output`, if there is one; InputError if that was made with other settings or
    data, and for what cannot be used.
    """
    _check(network, train_layers, size, pairs_per_step, validation, trunk)
    folder = pathlib.Path(output)
    loop = TrainingLoop(steps, learning_rate, schedule, precision, device, seed, checkpoint_every, validate_every)
    machine = choose_machine(device, precision)
    loss = D2Loss(safe_radius=safe_radius, min_matches=min_matches, relu=relu, contrast=contrast)
    with threads(1), torch.random.fork_rng():  # so that the random weights are the same for any number of workers
        torch.manual_seed(seed)
        module = Trained(_start(network, start_from, trunk), train_layers)
    files = _files(photos)
    depth = {"size": size, "tolerance": depth_tolerance, "relative": relative_depth, "augment": augment}
    sources = [WarpedPhotos(tuple(map(str, files)), size, night_share=night_share)] if files else []
    sources += [DepthPairs((town_scene(pathlib.Path(t), min_overlap, depth_tolerance),), **depth) for t in towns]
    infos = [] if megadepth is None else [pathlib.Path(megadepth) / "scene_info" / f"{scene}.npz" for scene in scenes]
    if infos:
        base = pathlib.Path(megadepth)
        parts = [megadepth_scene(read_scene_info(info), base, min_overlap) for info in infos]
        sources.append(DepthPairs(tuple(parts), **depth))
    shares = shares or (1.0,) * len(sources)
    _check_sources(sources, shares)
    made_from = {"network": network, "train_layers": train_layers, "pairs_per_step": pairs_per_step, **depth}
    made_from |= {
        "safe_radius": safe_radius,
        "relu": relu,
        "contrast": contrast,
        "warmup": warmup,
        "night_share": night_share,
        "shares": shares,
    }
    made_from |= {"min_matches": min_matches, "max_matches": max_matches, "min_overlap": min_overlap}
    made_from |= {"start_from": _digest(start_from), "trunk weights": trunk and trunk_digest(trunk)}
    made_from |= {"photos": f"{len(files)}:{key_of([file_digest(f) for f in files])}"}
    made_from |= {"depth": _depth_digest(sources, infos)}
    made_from = {name: str(value) for name, value in made_from.items()}
    batches = D2Batches(
        sources,
        shares,
        module.network,
        pairs_per_step=pairs_per_step,
        min_matches=min_matches,
        max_matches=max_matches,
        seed=seed,
    )
    keep_memory()
    with threads(workers):
        curve = loop.run(
            module,
            batches,
            lambda module, batch: loss(module(batch.images), batch.matches, min(1.0, (batch.step + 1) / (warmup + 1))),
            Matching(validation),
            folder=folder,
            made_from=made_from,
            progress=progress,
        )
    found = {name: curve.rows[-1][name] for name in ("mma", "matches", "seconds")}
    settings = {name: str(value) for name, value in (vars(loop) | vars(machine)).items()}
    path = folder / "weights.safetensors"
    kept, named = module.network, {}
    if trunk is not None and train_layers == "head":
        kept, named = nn.ModuleDict({"head": module.network.head}), {"trunk": _kept_name(trunk)}
    write_tensors(path, kept, settings | made_from | found | named)
    plot_training(folder / "training.png", curve, MEASURES, "validation (%)")
    return (
        f"{network} after {steps} steps: mean matching accuracy at 3 px from {float(curve.rows[0]['mma']):.1f} to "
        f"{float(found['mma']):.1f} % on the validation sequences; the course is in {folder / 'training.png'}.\nUse it "
        f"with feature=d2net feature.backbone={network} feature.weights={path.absolute()}"
    )


def _check(network: str, train_layers: str, size: int, pairs_per_step: int, validation, trunk: str | None) -> None:
    """InputError with all that is wrong with the settings which are the pipeline's own."""
    problems = []
    for name, value, choices in (("network", network, NETWORKS), ("train_layers", train_layers, LAYERS)):
        if value not in choices:
            problems.append(f"pipeline.{name} is {value!r}, but must be one of: {', '.join(choices)}")
    if type(size) is not int or size < 32 or size % 8:
        problems.append(f"pipeline.size is {size!r}, but must be a multiple of 8, at least 32")
    if type(pairs_per_step) is not int or pairs_per_step < 1:
        problems.append(f"pipeline.pairs_per_step is {pairs_per_step!r}, but must be a whole number of at least 1")
    if not isinstance(validation, list | tuple) or not validation:
        problems.append(f"pipeline.validation is {validation!r}, but must be a list of sequences of HPatches")
    if trunk is not None and network != "small":
        problems.append(f"pipeline.trunk is {trunk!r}, but pipeline.network={network} has no trunk to take")
    if problems:
        raise InputError(*problems)


def _check_sources(sources: list, shares) -> None:
    if not sources:
        raise InputError(
            "there is nothing to train on: give pipeline.photos=[FOLDER,...], pipeline.towns=[FOLDER,...] or "
            "pipeline.megadepth with pipeline.scenes"
        )
    if len(shares) != len(sources) or not all(isinstance(s, int | float) and s > 0 for s in shares):
        raise InputError(f"pipeline.shares is {shares!r}, but must be {len(sources)} numbers greater than 0")


def _files(folders) -> list[pathlib.Path]:
    """The photos of folders, with all below them; InputError for a folder without any."""
    files = []
    for folder in map(pathlib.Path, folders):
        names = list_photos(folder) if folder.is_dir() else []
        if not names:
            raise InputError(f"folder {folder} is missing or holds no photos: give another in pipeline.photos")
        files += [folder / name for name in names]
    return files


def _start(network: str, start_from: str | None, trunk: str | None) -> nn.Module:
    """The network with random weights or those of a file; the trunk of `trunk`, if that is given."""
    module, tensors, path = d2_training_network(network), {}, None
    if start_from is not None:
        path = weights_file(start_from, "pipeline.start_from")
        tensors = read_tensors(path)[0]
        tensors = tensors.get("model", tensors)
        tensors = {VGG + n.removeprefix(OFFICIAL) if n.startswith(OFFICIAL) else n: t for n, t in tensors.items()}
    if trunk is not None:
        trunk = weights_file(trunk, "pipeline.trunk")
        found = trunk_tensors(trunk)
        filled(module.trunk, {n.removeprefix("trunk."): t for n, t in found.items()}, trunk, "the small network")
        tensors |= found
    if path is not None:
        filled(module, tensors, path, f"network {network}", and_others=True)
    return module


def trunk_digest(trunk: str) -> str:
    """Of the trunk's tensors in a file of weights, by its name or path; written into the weights of a head on it."""
    return tensors_digest(trunk_tensors(weights_file(trunk, "pipeline.trunk")))


def _digest(weights: str | None) -> str | None:
    return weights and file_digest(weights_file(weights, "pipeline.start_from"))


def _depth_digest(sources: list, infos: list) -> str:
    """Of the photos and depth maps of towns; of MegaDepth, whose maps are many, only the scene files."""
    photos = [p for s in sources if isinstance(s, DepthPairs) for scene in s.scenes for p in scene.photos]
    towns = [p for p in photos if p.depth.suffix == ".png"]
    return f"{len(photos)}:{key_of([file_digest(f) for p in towns for f in (p.photo, p.depth)])}:" + key_of(
        [file_digest(info) for info in infos]
    )


def _kept_name(trunk: str) -> str:
    """A trunk's name as its head's file keeps it: a path that is still right in another working directory."""
    return trunk if trunk in shipped_names() else str(pathlib.Path(weights_file(trunk, "pipeline.trunk")).absolute())
