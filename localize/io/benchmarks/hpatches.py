"""Files of the HPatches patch benchmark (Balntas et al., CVPR 2017): patches of sequences, splits and task lists."""

import csv
import json
import pathlib

import numpy as np

from localize.io.images import read_photo
from localize.io.text import read_text
from localize.types import InputError

SIDE = 65  # px of a patch
NOISES = ("e", "h", "t")  # easy, hard, tough: how far the patches were moved
NUM_IMAGES = 6  # of a sequence, the reference among them
TYPES = ("ref", *(f"{noise}{k}" for noise in NOISES for k in range(1, NUM_IMAGES)))
PAIR_LISTS = ("verif_pos", "verif_neg_inter", "verif_neg_intra")
PATCH_LISTS = ("retr_queries", "retr_distractors")
_PAIR, _PATCH = ("s1", "t1", "idx1", "s2", "t2", "idx2"), ("s", "idx")
_SOURCE = "get it with `git lfs clone https://github.com/hpatches/hpatches-benchmark`, folder tasks"


def check_hpatches(folder: pathlib.Path, tasks: pathlib.Path, split: str) -> None:
    """InputError with everything that is missing: sequences of the split, task lists. Reads no patches."""
    folder, tasks = pathlib.Path(folder), pathlib.Path(tasks)
    lists = [tasks / f"{name}_split-{split}.csv" for name in (*PAIR_LISTS, *PATCH_LISTS)]
    problems = [f"task list {path} is missing: {_SOURCE}" for path in lists if not path.is_file()]
    for name in read_split(tasks, split):
        missing = [t for t in TYPES if not (folder / name / f"{t}.png").is_file()]
        if missing:
            where = "unpack hpatches-release again" if (folder / name).is_dir() else "is it hpatches-release?"
            problems.append(f"sequence {name} in {folder} has no {', '.join(missing)}: {where}")
    if problems:
        raise InputError(*problems)


def read_split(tasks: pathlib.Path, split: str) -> list[str]:
    """Names of the sequences that a split tests on."""
    path = pathlib.Path(tasks) / "splits" / "splits.json"
    if not path.is_file():
        raise InputError(f"list of splits {path} is missing: {_SOURCE}")
    try:
        splits = json.loads(read_text(path))
        return list(splits[split]["test"])
    except (json.JSONDecodeError, TypeError) as e:
        raise InputError(f"{path} is damaged ({e}): {_SOURCE}") from e
    except KeyError as e:
        raise InputError(f"{path} has no split {split!r}; valid: {', '.join(splits)}") from e


def read_sequence(folder: pathlib.Path) -> np.ndarray:
    """Patches (16, N, 65, 65) uint8 of a sequence, in the order of TYPES; patch i shows the same in all of them."""
    strips = []
    for name in TYPES:
        path = pathlib.Path(folder) / f"{name}.png"
        strip = read_photo(path, grey=True)
        if strip.shape[1] != SIDE or strip.shape[0] % SIDE:
            size = f"{strip.shape[1]} x {strip.shape[0]} px, but a strip of patches has 65 x 65 N"
            raise InputError(f"{path} is {size}: unpack hpatches-release again")
        strips.append(strip.reshape(-1, SIDE, SIDE))
        if len(strips[-1]) != len(strips[0]):
            counts = f"{len(strips[-1])} patches, but ref.png has {len(strips[0])}"
            raise InputError(f"{path} has {counts}: unpack hpatches-release again")
    return np.stack(strips)


def resampled(patches: np.ndarray, side: int = 64) -> np.ndarray:
    """(N, side, side) uint8 of patches (N, 65, 65) uint8: bilinear, the same square seen with other pixels."""
    at = np.clip((np.arange(side) + 0.5) * SIDE / side - 0.5, 0, SIDE - 1)
    low = np.minimum(at.astype(int), SIDE - 2)
    weights = np.zeros((side, SIDE), np.float32)
    weights[np.arange(side), low] = 1 - (at - low)
    weights[np.arange(side), low + 1] = at - low
    return np.rint(weights @ patches.astype(np.float32) @ weights.T).astype(np.uint8)


def read_task(tasks: pathlib.Path, name: str, split: str, counts: dict[str, int]) -> np.ndarray:
    """Rows (R, 6) int64 `sequence, image, patch` twice of PAIR_LISTS, or (R, 2) `sequence, patch` of PATCH_LISTS.

    A sequence is its position in `counts`, which says how many patches each has; image 0 is the reference.
    InputError if the list is missing or names something else.
    """
    path = pathlib.Path(tasks) / f"{name}_split-{split}.csv"
    wanted = _PAIR if name in PAIR_LISTS else _PATCH
    if not path.is_file():
        raise InputError(f"task list {path} is missing: {_SOURCE}")
    number = {sequence: i for i, sequence in enumerate(counts)}
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        header = tuple(next(lines, ()))
        if header != wanted:
            raise InputError(f"{path}:1: expected `{','.join(wanted)}`, found `{','.join(header)[:40]}`: {_SOURCE}")
        rows, line = [], []
        try:
            for line in lines:
                rows.append([number[v] if c[0] == "s" else int(v) for c, v in zip(wanted, line, strict=True)])
        except (KeyError, ValueError, csv.Error, UnicodeDecodeError) as e:
            what = f"`{','.join(line)[:60]}` is no sequence of the split with numbers"
            raise InputError(f"{path}:{lines.line_num}: {what}: {_SOURCE}") from e
    rows = np.array(rows, np.int64).reshape(-1, len(wanted))
    if not len(rows):
        raise InputError(f"{path} has no rows: {_SOURCE}")
    _check_range(rows, wanted, np.array(list(counts.values())), path)
    return rows


def _check_range(rows: np.ndarray, columns: tuple, num_patches: np.ndarray, path: pathlib.Path) -> None:
    """InputError for an image or a patch that no sequence has."""
    bad = np.zeros(len(rows), bool)
    for k, column in enumerate(columns):
        if column[0] == "s":
            limit = num_patches[rows[:, k]]
        else:
            bad |= (rows[:, k] < 0) | (rows[:, k] >= (NUM_IMAGES if column[0] == "t" else limit))
    if bad.any():
        line = int(np.argmax(bad)) + 2
        raise InputError(f"{path}:{line}: no such image or patch: the list is for other patches than these")
