"""Table 1 of the parallel search paper: its networks trained on one set of UBC PhotoTour and tested on the others."""

import importlib.resources
import logging
import pathlib
import time
from dataclasses import dataclass

import numpy as np
import torch
import yaml

from localize.evaluate.grids import Grid
from localize.evaluate.patches.comparison import Contender, choose_pairs, compare
from localize.evaluate.patches.descriptors import PatchNetwork, RootSift, RotatedNetwork, TFeat
from localize.index.itq import itq_rotation
from localize.io.benchmarks.phototour import read_phototour, read_points
from localize.networks.patches import SIDE as SMALL
from localize.networks.patches import patch_network
from localize.pipelines.training import train_crbnet
from localize.train.crbnet.loss import CrbnetLoss
from localize.train.crbnet.parts import PatchData, PatchStart, PatchValidation
from localize.train.loop.machine import Machine, choose_machine, threads
from localize.train.loop.training_loop import BETAS, TrainingLoop
from localize.types import InputError
from localize.weights.patches import load_weights

log = logging.getLogger(__name__)
SETS = {"notredame": "Not", "yosemite": "Yos", "liberty": "Lib"}
COLUMNS = [("notredame", "liberty"), ("yosemite", "liberty"), ("liberty", "notredame"), ("yosemite", "notredame")]
COLUMNS += [("liberty", "yosemite"), ("notredame", "yosemite")]  # trained on, tested on
NETWORKS = {  # row: word of pipeline.losses, and what differs from it
    "CRBNet": ("paper", {}),
    "CRBNet(N)": ("paper", {"loss": {"bits": False}}),
    "CRBNet 128": ("paper", {"start": {"network": "l2net128"}}),
    "HardNet": ("hardnet", {}),
    "SOSNet": ("sosnet", {}),
}
TIMED_PAIRS, TIMED_STEPS = 32, 2
ITQ_PATCHES = 20_000


@dataclass(frozen=True)
class Training:
    """One training that the table needs."""

    name: str
    set: str  # that it learns from
    folder: pathlib.Path
    steps: int
    start: PatchStart
    loss: CrbnetLoss
    data: PatchData
    validation: PatchValidation
    rate: dict  # learning_rate and schedule

    @property
    def weights(self) -> pathlib.Path:
        """Where they are, or will be."""
        return self.folder / "weights.safetensors"

    def run(self, workers: int, progress: bool) -> None:
        """Train, or go on."""
        loop = TrainingLoop(steps=self.steps, **self.rate)
        parts = {"start": self.start, "loss": self.loss, "data": self.data, "validation": self.validation}
        log.info("%s on %s, %d steps, in %s", self.name, self.set, self.steps, self.folder)
        train_crbnet.run(output=str(self.folder), workers=workers, progress=progress, loop=loop, **parts)

    def state(self) -> str:
        """Whether it is done, begun or missing."""
        if self.weights.is_file():
            return f"there, {load_weights(self.weights)[1].get('loop.steps', '?')} steps"
        return "begun" if (self.folder / "checkpoint.pt").is_file() else "missing"


def trainings(phototour: str, folder: str, steps: int | None, pairs_per_batch: int | None) -> list[Training]:
    """All that the table needs; InputError with every set that is missing or damaged."""
    root, problems, counts = pathlib.Path(phototour).expanduser(), [], {}
    for name in SETS:
        try:
            counts[name] = len(read_points(root / name))
        except InputError as e:
            problems += e.problems
    if problems:
        raise InputError(*problems, "pipeline.phototour is the folder with liberty, notredame and yosemite in it")
    return [
        _training(name, of_set, root, pathlib.Path(folder).expanduser(), counts[of_set], steps, pairs_per_batch)
        for name in NETWORKS
        for of_set in SETS
    ]


def _training(name, of_set, root, folder, num_patches, steps, pairs_per_batch) -> Training:
    word, differing = NETWORKS[name]
    found = losses(word)
    part = {role: found.get(role, {}) | differing.get(role, {}) for role in ("start", "data", "loss", "loop")}
    if pairs_per_batch is not None:
        part["data"]["pairs_per_batch"] = pairs_per_batch
    data = PatchData([str(root / of_set)], **part["data"])
    of_word = part["loop"].pop("steps", None) or round(found["epochs"] * num_patches / (2 * data.pairs_per_batch))
    others = [str(root / s) for s in SETS if s != of_set]
    slug = name.lower().replace("(n)", "_n").replace(" ", "_")
    return Training(
        *(name, of_set, folder / f"{slug}_{of_set}", steps or of_word, PatchStart(**part["start"])),
        *(CrbnetLoss(**part["loss"]), data, PatchValidation(others), part["loop"]),
    )


def losses(word: str) -> dict:
    """What pipeline.losses=`word` sets."""
    text = (importlib.resources.files("localize.conf") / "pipeline" / "losses" / f"{word}.yaml").read_text()
    return yaml.safe_load(text)


def listed(wanted: list[Training], workers: int) -> Grid:
    """Which trainings there are, which not, and what those would cost on this machine."""
    with threads(workers):
        seconds = {}
        for t in wanted:
            if not t.weights.is_file() and t.name not in seconds:
                seconds[t.name] = seconds_per_step(t)
    rows = tuple(
        (t.name, SETS[t.set], t.start.network, t.data.pairs_per_batch, t.steps, _hours(t, seconds), t.state())
        for t in wanted
    )
    missing = [_hours(t, seconds) or 0.0 for t in wanted if not t.weights.is_file()]
    notes = (
        f"{len(missing)} of {len(wanted)} trainings are missing: {sum(missing):.1f} hours here, estimated from "
        f"{TIMED_STEPS} steps of {TIMED_PAIRS} pairs of each network. pipeline.train=true runs them, and goes on where "
        "it was stopped.",
    )
    header = ("network", "set", "kind", "pairs", "steps", "hours", "weights")
    return Grid("trainings", "Trainings of this table.", header, rows, notes if missing else ())


def _hours(t: Training, seconds: dict) -> float | None:
    return None if t.weights.is_file() else t.steps * seconds[t.name] / 3600


def seconds_per_step(t: Training, machine: Machine | None = None) -> float:
    """Seconds of a step, from a few small ones: a step takes time in proportion to its pairs."""
    machine, pairs = machine or choose_machine(), min(TIMED_PAIRS, t.data.pairs_per_batch)
    module = patch_network(t.start.network).to(machine.device, memory_format=torch.channels_last)
    adam = torch.optim.Adam(module.parameters(), betas=BETAS)
    patches = 255 * torch.rand(2 * pairs, 1, SMALL, SMALL, device=machine.device)
    for step in range(TIMED_STEPS + 1):
        if step == 1:  # the first compiles and fills memory
            start = time.perf_counter()
        with machine.autocast():
            loss = sum(t.loss(*module(patches).chunk(2)).values())
        adam.zero_grad()
        loss.backward()
        adam.step()
        loss.item()  # waits for a GPU
    return (time.perf_counter() - start) / TIMED_STEPS * t.data.pairs_per_batch / pairs


def evaluated(
    wanted: list[Training], phototour: str, tfeat: str | None, pairs: int, seed: int, workers: int, progress: bool
) -> Grid:
    """FPR95 of what is there, in the columns of the paper."""
    found: dict[tuple, dict] = {}  # row: column: figure
    dims: dict[tuple, int] = {}
    notes = []
    root, there = pathlib.Path(phototour).expanduser(), [t for t in wanted if t.weights.is_file()]
    itq = {t.set: _itq(t, seed) for t in there if t.name == "SOSNet"}
    for test in SETS:
        patch_pairs = choose_pairs(str(root / test), test, pairs, seed)
        judged = [(test, "RootSIFT", Contender("RootSIFT", RootSift()))]
        if tfeat and (learned := set_of_tfeat(tfeat)) != test:
            judged.append((learned, "TFeat", Contender("TFeat", TFeat(tfeat))))
        of_others = [t for t in there if t.set != test]
        judged += [(t.set, t.name, Contender(t.name, PatchNetwork(str(t.weights)))) for t in of_others]
        judged += [(s, "SOSNet+ITQ", Contender("SOSNet+ITQ", d)) for s, d in itq.items() if s != test]
        with threads(1):
            compare([c for *_, c in judged], patch_pairs, workers, progress)
        notes.append(f"{test}: {patch_pairs.told}.")
        for learned, name, c in judged:
            column = next((learned, test) if learned != test else pair for pair in COLUMNS if pair[1] == test)
            for kind, figures in (("real", c.real), ("bits", c.bits)):
                if figures and not (name == "SOSNet+ITQ" and kind == "real"):
                    found.setdefault((name, kind), {})[column] = figures[-1]
                    dims[name, kind] = c.dim
    rows = []
    for (name, kind), figures in sorted(found.items(), key=lambda row: row[0][1] != "real"):
        complete = len(figures) == (3 if name == "RootSIFT" else len(COLUMNS))
        mean = float(np.mean(list(figures.values()))) if complete else None
        rows.append((name, kind, dims[name, kind], *(figures.get(column) for column in COLUMNS), mean))
    header = ("method", "values", "dim", *(f"{SETS[a]}>{SETS[b]}" for a, b in COLUMNS), "mean")
    notes.append("Networks as they are after their last step; RootSIFT is not trained and has one figure per test set.")
    return Grid("ours", "Ours: FPR95 in percent, lower is better.", header, tuple(rows), tuple(notes))


def _itq(t: Training, seed: int) -> RotatedNetwork:
    """The network with bits by ITQ, learned on patches of the set that it was trained on."""
    patches = read_phototour(t.data.patches[0])[0]
    chosen = np.random.default_rng(seed).permutation(len(patches))[:ITQ_PATCHES]
    values = PatchNetwork(str(t.weights)).describe(patches[np.sort(chosen)])
    return RotatedNetwork(str(t.weights), *itq_rotation(values, values.shape[1], seed))


def set_of_tfeat(path: str) -> str:
    """The set that its authors trained a file on, which its name says: tfeat-liberty.params."""
    named = [name for name in SETS if name in pathlib.Path(path).name]
    if len(named) != 1:
        raise InputError(f"pipeline.tfeat={path} does not say which of {', '.join(SETS)} it was trained on: rename it")
    return named[0]
