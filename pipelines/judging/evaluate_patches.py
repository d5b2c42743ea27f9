"""How well descriptors tell patches apart: RootSIFT, TFeat and ours, beside the published figures; HPatches."""

import dataclasses
import json
import logging
import pathlib

import localize
from localize.evaluate.grids import FORMATS, Grid, as_text
from localize.evaluate.patches.bits import plot_bits
from localize.evaluate.patches.comparison import Contender, PatchPairs, choose_pairs, compare
from localize.evaluate.patches.descriptors import PatchNetwork, RootSift, TFeat
from localize.evaluate.patches.hpatches import Sequences, describe_sequences, evaluate_hpatches
from localize.evaluate.patches.hpatches_plot import plot_tasks
from localize.evaluate.published import read_patch_figures
from localize.io.benchmarks.hpatches import check_hpatches, read_split
from localize.io.text import write_text
from localize.pipelines.judging import phototour_table
from localize.train.loop.machine import threads
from localize.types import InputError
from localize.weights.patches import load_weights
from localize.weights.shipped import FOLDER, weights_file

log = logging.getLogger(__name__)
NETWORKS = {  # setting: name in the table, files that may ship with us, of which the first is taken
    "crbnet": ("CRBNet", ("crbnet256", "crbnet256_lite")),
    "crbnet_n": ("CRBNet(N)", ("crbnet256_n", "crbnet256_lite_n")),
    "crbnet_128": ("CRBNet 128", ("l2net128",)),
}


def run(
    *,
    output: str,
    workers: int = 1,
    progress: bool = False,
    folders: tuple | None = None,
    phototour: str | None = None,
    trainings: str = "outputs/phototour",
    train: bool = False,
    steps: int | None = None,
    pairs_per_batch: int | None = None,
    crbnet: str | None = None,
    crbnet_n: str | None = None,
    crbnet_128: str | None = None,
    tfeat: str | None = None,
    pairs: int = 50_000,
    seed: int = 0,
    hpatches: str | None = None,
    hpatches_tasks: str | None = None,
    hpatches_split: str = "a",
) -> str:
    """The tables as text; `output` gets table.txt, .md, .csv, .tex and .json, bits.png and hpatches.png.

    phototour: the folder of its three sets; the table is then the paper's, of networks trained on each set, which lie
    in `trainings`; train: run those that are missing; steps, pairs_per_batch: of each, in place of the paper's.

    folders: others in the format of UBC PhotoTour, with weights that are there; where one has no list of pairs, `pairs`
    matching ones and as many others are drawn with `seed`. crbnet, crbnet_n (trained without the loss of the bits),
    crbnet_128: weights files; None: the
    one that ships, or no row. tfeat: its authors' file. hpatches: hpatches-release; hpatches_tasks: the folder tasks of
    its benchmark. `workers` are threads. InputError, before any work, with all that is missing.
    """
    if phototour is not None:
        if folders is not None:
            raise InputError("give either pipeline.phototour or pipeline.folders")
        lists = phototour_table.trainings(phototour, trainings, steps, pairs_per_batch)
        return _paper(pathlib.Path(output), lists, phototour, tfeat, train, pairs, seed, workers, progress)
    problems = _wrong_settings(folders, pairs, seed)
    names = {} if problems else _names(folders)
    contenders, notes = _contenders({"crbnet": crbnet, "crbnet_n": crbnet_n, "crbnet_128": crbnet_128}, tfeat, problems)
    sets = [s for name, folder in names.items() if (s := _tried(problems, choose_pairs, folder, name, pairs, seed))]
    if hpatches is not None and hpatches_tasks is None:
        problems.append("pipeline.hpatches needs the benchmark's lists too: add pipeline.hpatches_tasks=FOLDER")
    elif hpatches is not None:
        _tried(problems, check_hpatches, hpatches, hpatches_tasks, hpatches_split)
    if problems:
        raise InputError(*problems)
    target = pathlib.Path(output)
    target.mkdir(parents=True, exist_ok=True)
    with threads(1):  # the threads are ours, one chunk of patches each
        for patch_pairs in sets:
            log.info("%s: %s, with %s", patch_pairs.name, patch_pairs.told, ", ".join(c.name for c in contenders))
            compare(contenders, patch_pairs, workers, progress)
    with threads(workers):
        more = [_hpatches(contenders, hpatches, hpatches_tasks, hpatches_split, progress, target)] if hpatches else []
    bits = {c.name: c.statistics() for c in contenders if c.has_bits}
    grids = [_ours(contenders, sets, bits, [*notes, _cost(workers)]), *more, read_patch_figures()]
    return _write(target, grids, bits)


def _paper(target, wanted, phototour, tfeat, train, pairs, seed, workers, progress) -> str:
    """Table 1, of the trainings that are there, after those that are missing where that was asked for."""
    if tfeat is not None:
        phototour_table.set_of_tfeat(tfeat)
        TFeat(tfeat).network  # noqa: B018  refused before any work
    target.mkdir(parents=True, exist_ok=True)
    costs = phototour_table.listed(wanted, workers)
    log.info("%s", as_text([costs]))
    for training in wanted if train else ():
        if not training.weights.is_file():
            training.run(workers, progress)
    ours = phototour_table.evaluated(wanted, phototour, tfeat, pairs, seed, workers, progress)
    costs = phototour_table.listed(wanted, workers) if train else costs
    return _write(target, [costs, ours, read_patch_figures()], {})


def _write(target: pathlib.Path, grids: list[Grid], bits: dict) -> str:
    """All files; the text, and where they are."""
    for suffix, form in FORMATS.items():
        write_text(target / f"table.{suffix}", form(grids))
    found = {"localize": localize.__version__, "tables": [dataclasses.asdict(g) for g in grids]}
    write_text(target / "table.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    if bits:
        plot_bits(target / "bits.png", bits)
    files = [*(f"table.{suffix}" for suffix in [*FORMATS, "json"]), *(["bits.png"] if bits else [])]
    return f"{as_text(grids)}\n{', '.join(files)} are in {target}."


def _wrong_settings(folders, pairs, seed) -> list[str]:
    problems = []
    strings = isinstance(folders, list | tuple) and all(isinstance(f, str) for f in folders)
    if not strings or not 0 < len(set(folders)) == len(folders):
        problems.append(f"pipeline.folders is {folders!r}, but must be a list of different ones: [folder] or [one,two]")
    for name, value, least in (("pairs", pairs, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:
            problems.append(f"pipeline.{name} is {value!r}, but must be a whole number of at least {least}")
    return problems


def _tried(problems: list[str], step, *arguments):
    """What the step gives; None, and its sentences among the problems, if it cannot use what the user gave."""
    try:
        return step(*arguments)
    except InputError as e:
        problems += e.problems


def _contenders(given: dict, tfeat: str | None, problems: list[str]) -> tuple[list[Contender], list[str]]:
    """What can be compared, all weights loaded, and where they come from."""
    contenders, notes = [Contender("RootSIFT", RootSift())], []
    if tfeat is not None:
        _tried(problems, lambda: TFeat(tfeat).network)
        contenders.append(Contender("TFeat", TFeat(tfeat)))
        notes.append(f"TFeat: {tfeat}.")
    for setting, path in given.items():
        name, files = NETWORKS[setting]
        shipped = [str(FOLDER / f"{file}.safetensors") for file in files]
        path = path or next((p for p in shipped if pathlib.Path(p).is_file()), None)
        if path is None:
            notes.append(f"{name}: no weights of it ship with this version; pipeline.{setting}=FILE adds a row.")
        elif (file := _tried(problems, weights_file, path, f"pipeline.{setting}")) and (
            loaded := _tried(problems, load_weights, file)
        ):
            contenders.append(Contender(name, PatchNetwork(file)))
            notes.append(f"{name}: {path}, {loaded[1]['network']}.")
    return contenders, notes


def _names(folders) -> dict[str, str]:
    """Each folder by its last part, or in full where two have the same."""
    last = [pathlib.Path(f).name for f in folders]
    return {name if last.count(name) == 1 else f: f for name, f in zip(last, folders, strict=True)}


def _cost(workers: int) -> str:
    return f"A real value takes 4 bytes; patches/s on {workers} thread{'s' * (workers > 1)}."


def _ours(contenders: list[Contender], sets: list[PatchPairs], bits: dict, notes: list[str]) -> Grid:
    """The table of FPR95, and what a reader needs to judge it."""
    rows = tuple(row for c in contenders for row in c.rows())
    header = ("method", "values", "dim", "bytes", "patches/s", *(s.name for s in sets), "mean")
    of_sets = [f"{s.name}: {s.told}." for s in sets]
    for name, found in bits.items():
        shares = (
            f"{100 * found.ones.mean():.1f} % are 1, {100 * found.flip_rate:.1f} % differ between patches of a point"
        )
        of_sets.append(f"{name}, bits: {shares}, mean absolute correlation of two {found.correlation:.3f}.")
    return Grid("ours", "FPR95 in percent, lower is better.", header, rows, (*of_sets, *notes))


def _hpatches(contenders: list[Contender], folder: str, tasks: str, split: str, progress: bool, target) -> Grid:
    """The table of its tasks, a column for each kind of values of each contender; and hpatches.png, its bars."""
    columns = {}
    for c in contenders:
        found = describe_sequences(c.descriptor, folder, read_split(tasks, split), progress)
        columns[f"{c.name}, real"] = evaluate_hpatches(found, tasks, split)
        if c.has_bits:
            signs = Sequences(found.counts, found.values > 0, "hamming")
            columns[f"{c.name}, bits"] = evaluate_hpatches(signs, tasks, split)
    plot_tasks(target / "hpatches.png", columns)
    rows = tuple((task, *(column[task] for column in columns.values())) for task in next(iter(columns.values())))
    title = f"HPatches, split {split}, in percent: area under the ROC (balanced), else mean average precision."
    return Grid("hpatches", title, ("task", *columns), rows)
