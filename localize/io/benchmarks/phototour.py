"""Folders of patches in the format of UBC PhotoTour (Winder & Brown, CVPR 2007), and their lists of pairs.

patches0000.bmp ...: sheets of 16 x 16 patches of 64 x 64 px, row after row; info.txt: `point 0` for each patch;
interest.txt: the image each patch was cut from; m50_N_N_0.txt: N pairs, half of them of one point.
"""

import pathlib
import re
from collections.abc import Sequence

import numpy as np
import PIL.Image

from localize.io.files import whole_folder, writing
from localize.io.images import read_photo
from localize.io.number_rows import open_input, read_rows
from localize.io.text import write_text
from localize.types import InputError

SIDE = 64  # px of a patch
ACROSS = 16  # patches of a sheet, and down
PER_SHEET = ACROSS * ACROSS
TEST_PAIRS = "m50_100000_100000_0.txt"  # the list that published figures are for
_AGAIN = "copy or unpack the folder again"


def write_phototour(
    folder: str | pathlib.Path, patches: np.ndarray, points: np.ndarray, images: np.ndarray | None = None
) -> None:
    """Write patches (N, 64, 64) uint8, the point each shows (N,) and, if given, the image it comes from (N,).

    The folder appears when it is whole and takes the place of an older one, pair lists included; InputError if it
    exists and holds something else.
    """
    folder, n = pathlib.Path(folder), len(patches)
    if patches.shape != (n, SIDE, SIDE) or patches.dtype != np.uint8:
        raise ValueError(f"patches are {patches.dtype} {patches.shape}, but expected uint8 (N, {SIDE}, {SIDE})")
    for name, ids in (("points", points), ("images", images)):
        if ids is not None and (np.shape(ids) != (n,) or not np.issubdtype(np.asarray(ids).dtype, np.integer)):
            raise ValueError(f"{name} has shape {np.shape(ids)}, but expected ({n},) whole numbers")
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "info.txt").is_file())):
        raise InputError(f"{folder} exists and holds no patches (no info.txt): choose another folder")
    with writing(folder), whole_folder(folder) as new:
        for i in range(_num_sheets(n)):
            part = patches[i * PER_SHEET : (i + 1) * PER_SHEET]
            PIL.Image.fromarray(_sheet(part)).save(new / _sheet_name(i), format="BMP")
        write_text(new / "info.txt", "".join(f"{p} 0\n" for p in np.asarray(points).tolist()))
        if images is not None:  # position, orientation and scale of the interest point are left 0
            write_text(new / "interest.txt", "".join(f"{i} 0 0 0 0\n" for i in np.asarray(images).tolist()))


def read_phototour(folder: str | pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Patches (N, 64, 64) uint8 and the point each shows (N,) int64; InputError for what is missing or damaged."""
    folder = pathlib.Path(folder)
    points = read_points(folder)
    patches = np.empty((len(points), SIDE, SIDE), np.uint8)
    for i in range(_num_sheets(len(points))):
        sheet = read_photo(folder / _sheet_name(i), grey=True)
        if sheet.shape != (ACROSS * SIDE, ACROSS * SIDE):
            size = f"{sheet.shape[1]} x {sheet.shape[0]} px, but a sheet of patches has 1024 x 1024"
            raise InputError(f"{folder / _sheet_name(i)} is {size}: {_AGAIN}")
        part = patches[i * PER_SHEET : (i + 1) * PER_SHEET]
        part[:] = _cut(sheet)[: len(part)]
    return patches, points


def read_points(folder: str | pathlib.Path) -> np.ndarray:
    """The point (N,) int64 that each patch of a folder shows; checks that its sheets are there, and reads none."""
    folder = pathlib.Path(folder)
    if not (folder / "info.txt").is_file():
        below = folder / "patches"
        advice = f"did you mean {below}?" if (below / "info.txt").is_file() else "give one with patches0000.bmp ..."
        what = "has no info.txt" if folder.is_dir() else "is no folder" if folder.exists() else "is missing"
        raise InputError(f"folder {folder} {what}: {advice}")
    points = _numbers(folder / "info.txt", 1)[:, 0]
    found = {p.name for p in folder.glob("patches*.bmp")}
    wanted = [_sheet_name(i) for i in range(_num_sheets(len(points)))]
    if missing := [name for name in wanted if name not in found]:
        count = f"{len(missing)} of {len(wanted)} sheets of patches are missing, the first is {missing[0]}"
        raise InputError(f"{folder}: info.txt lists {len(points)} patches, but {count}: {_AGAIN}")
    if len(found) > len(wanted):
        lists = f"info.txt lists {len(points)} patches, which fill {len(wanted)} sheets, but there are {len(found)}"
        raise InputError(f"{folder}: {lists}: {_AGAIN}")
    return points


def write_pairs(
    folder: str | pathlib.Path, name: str, first: Sequence[int], second: Sequence[int], points: np.ndarray
) -> None:
    """Write the pairs first[i], second[i] of patches as `m50_N_N_0.txt`; points (N,) are those of all patches.

    The name says the number of rows, and half of them must match.
    """
    first, second, points = (np.asarray(a, np.int64) for a in (first, second, points))
    num, num_same = len(first), int((points[first] == points[second]).sum())
    if not re.fullmatch(rf"m50_{num}_{num}_\d+\.txt", name) or len(second) != num or num != 2 * num_same:
        raise ValueError(f"{name=} with {num} and {len(second)} patches, {num_same} pairs of one point")
    rows = np.stack([first, points[first], second, points[second]], 1).tolist()
    path = pathlib.Path(folder) / name
    with writing(path):
        write_text(path, "".join(f"{a} {p} 0 {b} {q} 0 0\n" for a, p, b, q in rows))


def pair_lists(folder: str | pathlib.Path) -> list[str]:
    """Names of the pair lists of a folder, the one of published figures first."""
    names = sorted(p.name for p in pathlib.Path(folder).glob("m50_*_*_*.txt"))
    return sorted(names, key=lambda name: name != TEST_PAIRS)


def read_pairs(folder: str | pathlib.Path, name: str | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches first (P,) and second (P,) int64 and whether they show one point (P,) bool.

    The list called `name`, or m50_100000_100000_0.txt, or the only one. InputError if there is none, if it is cut off
    or if its points are not those of info.txt.
    """
    folder = pathlib.Path(folder)
    names = pair_lists(folder)
    if name is None and not names:
        raise InputError(f"{folder} has no list of pairs: put {TEST_PAIRS} there")
    if name is None and len(names) > 1 and names[0] != TEST_PAIRS:
        raise InputError(f"{folder} has several lists of pairs ({', '.join(names)}): say which one")
    path = folder / (name or names[0])
    rows, points = _numbers(path, 5), read_points(folder)
    said = re.fullmatch(r"m50_(\d+)_(\d+)_\d+\.txt", path.name)
    if said and int(said[1]) != len(rows):
        raise InputError(f"{path} has {len(rows)} pairs, but its name says {said[1]}: {_AGAIN}")
    for patch, point in ((rows[:, 0], rows[:, 1]), (rows[:, 3], rows[:, 4])):
        if ((patch < 0) | (patch >= len(points))).any():
            bad = int(patch[(patch < 0) | (patch >= len(points))][0])
            raise InputError(f"{path} names patch {bad}, but there are {len(points)}: it belongs to another folder")
        if (other := np.flatnonzero(points[patch] != point)).size:
            k = other[0]
            said = f"says that patch {patch[k]} shows point {point[k]}, but info.txt says {points[patch[k]]}"
            raise InputError(f"{path} {said}: it belongs to another folder")
    return rows[:, 0], rows[:, 3], rows[:, 1] == rows[:, 4]


def draw_pairs(points: np.ndarray, num: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`num` pairs of patches of one point and then `num` of two, as read_pairs gives them; no pair twice.

    A patch is in two of the matching pairs at most, so that points with many patches do not take over, as long as
    that makes enough of them. InputError if the points (N,) do not have so many pairs.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(points))
    order = order[np.argsort(points[order], kind="stable")]  # point after point, the patches of each in random order
    at = np.arange(len(order))
    end = np.searchsorted(points[order], points[order], "right")
    chain = np.flatnonzero(at + 1 < end)
    sides = []
    if num <= len(chain):
        i = rng.choice(chain, num, replace=False)
        sides.append((i, i + 1))
    else:
        sides.append(_draw(at + 1, end, num, rng, "of one point"))
    sides.append(_draw(end, np.full_like(end, len(order)), num, rng, "of two points"))
    first, second = (order[np.concatenate(side)] for side in zip(*sides, strict=True))
    return first, second, np.repeat([True, False], num)


def _draw(start: np.ndarray, stop: np.ndarray, num: int, rng, what: str) -> tuple[np.ndarray, np.ndarray]:
    """`num` different ones of all pairs (i, j) with start[i] <= j < stop[i]."""
    before = np.concatenate([[0], np.cumsum(stop - start)])
    if before[-1] < num:
        raise InputError(f"{num} pairs {what} are wanted, but the patches make {before[-1]}: take fewer pairs")
    k = rng.choice(before[-1], num, replace=False)
    i = np.searchsorted(before, k, "right") - 1
    return i, start[i] + k - before[i]


def _num_sheets(num_patches: int) -> int:
    return -(-num_patches // PER_SHEET)


def _sheet_name(i: int) -> str:
    return f"patches{i:04d}.bmp"


def _sheet(patches: np.ndarray) -> np.ndarray:
    """(1024, 1024) of up to 256 patches; the rest is black."""
    full = np.zeros((PER_SHEET, SIDE, SIDE), np.uint8)
    full[: len(patches)] = patches
    return full.reshape(ACROSS, ACROSS, SIDE, SIDE).swapaxes(1, 2).reshape(ACROSS * SIDE, ACROSS * SIDE)


def _cut(sheet: np.ndarray) -> np.ndarray:
    """(256, 64, 64), the patches of a sheet."""
    return sheet.reshape(ACROSS, SIDE, ACROSS, SIDE).swapaxes(1, 2).reshape(PER_SHEET, SIDE, SIDE)


def _numbers(path: pathlib.Path, width: int) -> np.ndarray:
    """The first `width` numbers (R, width) int64 of each line."""
    parts = [np.zeros((0, width), np.int64)]
    with open_input(path) as file:
        for rows in read_rows(file, path):
            if (short := np.flatnonzero(rows.length < width)).size:
                k = short[0]
                count = f"{rows.length[k]} numbers, but expected at least {width}"
                raise InputError(f"{path}:{rows.line[k]}: {count}: {_AGAIN}")
            values = rows.columns(0, width)
            if (broken := np.flatnonzero((values != np.floor(values)).any(1))).size:
                raise InputError(f"{path}:{rows.line[broken[0]]}: expected whole numbers: {_AGAIN}")
            parts.append(values.astype(np.int64))
    return np.concatenate(parts)
