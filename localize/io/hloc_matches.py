"""hloc's HDF5 files of matches: one group per pair, named by both images with `-` for each slash.

So the images a/b-c and a-b/c have one name there: pairs that cannot be told apart are refused, never mixed up.
"""

import os
from collections.abc import Iterable, Iterator

import h5py
import numpy as np

from localize.io.hloc import opened, written
from localize.types import InputError, PairMatches

MOST = np.iinfo(np.int16).max  # hloc stores the keypoint's row in 16 bits


def _keys(first: str, second: str) -> tuple[str, str]:
    """Names of a pair's group: as it is written today, and as older versions did."""
    first, second = first.replace("/", "-"), second.replace("/", "-")
    return f"{first}/{second}", f"{first}_{second}"


class _Names:
    """Which pair of images each group stands for."""

    def __init__(self, path: str | os.PathLike):
        self.path, self.pairs = path, {}

    def claim(self, key: str, pair: tuple[str, str]) -> None:
        """InputError if another pair has the group already."""
        other = self.pairs.setdefault(key, pair)
        if set(other) != set(pair):
            both = " and ".join(" - ".join(p) for p in (other, pair))
            raise InputError(f"{self.path}: {both} have one name in files of hloc, {key}: rename an image")


def read_matches(
    path: str | os.PathLike, pairs: Iterable[tuple[str, str]]
) -> Iterator[tuple[tuple[str, str], PairMatches]]:
    """(pair, its matches) of each pair of image names, whichever of the two the file has first.

    InputError, naming file and pair, if a pair is not there, cannot be told from another, or is damaged.
    """
    names = _Names(path)
    for first, second in pairs:
        straight, turned = _keys(first, second), _keys(second, first)
        with opened(path) as f:
            candidates = (straight[0], turned[0], straight[1], turned[1])
            key = next((k for k in candidates if isinstance(f.get(k), h5py.Group)), None)
            matches = f[key].get("matches0") if key else None
            if matches is None:
                raise InputError(f"{path} has no matches of {first} and {second}")
            of_first = matches[()]
        names.claim(key, (first, second))
        if of_first.ndim != 1 or of_first.dtype.kind != "i" or (of_first < -1).any():
            raise InputError(f"{path}: matches0 of {first} and {second} are no row numbers, or -1, of keypoints")
        matched = np.flatnonzero(of_first >= 0)
        rows = np.column_stack([matched, of_first[matched]])
        yield (first, second), PairMatches(rows if key in straight else rows[:, ::-1])


def write_matches(
    path: str | os.PathLike, items: Iterable[tuple[tuple[str, str], PairMatches]], num_keypoints: dict[str, int]
) -> None:
    """Write the matches of pairs of images; num_keypoints: by image name. A pair that comes again is passed over.

    InputError for what the format cannot hold: more than 32767 keypoints, several matches of one keypoint, two pairs of
    one name.
    """
    names = _Names(path)
    with written(path) as f:
        for (first, second), pair in items:
            key, turned = _keys(first, second)[0], _keys(second, first)[0]
            for name in (first, second):
                if num_keypoints[name] > MOST:
                    raise InputError(
                        f"{name} has {num_keypoints[name]} keypoints, but matches in hloc's format count to {MOST}: "
                        "extract fewer"
                    )
            for k in (key, turned):
                names.claim(k, (first, second))
            if key in f or turned in f:
                continue
            of_first = np.full(num_keypoints[first], -1, np.int16)
            of_first[pair.rows[:, 0]] = pair.rows[:, 1]
            if np.count_nonzero(of_first >= 0) != len(pair.rows):
                raise InputError(f"a keypoint of {first} has several matches in {second}: hloc's format holds one")
            group = f.create_group(key)
            group["matches0"] = of_first
            group["matching_scores0"] = (of_first >= 0).astype(np.float16)
