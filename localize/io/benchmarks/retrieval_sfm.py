"""The lists of retrieval-SfM-120k (Radenovic, Tolias & Chum, TPAMI 2019): which show the same, which cannot.

`retrieval-SfM-120k.pkl` is a pickled dictionary with the parts `train` and `val`. Each holds `cids`, the names;
`cluster`, the 3D model of each; `qidxs` and `pidxs`, places in cids of queries and of a photo that shares many of the
query's points. Photo abcdef lies in ims/ef/cd/ab/, where the letters stand for the last six of its name.
"""

import pathlib
from dataclasses import dataclass

import numpy as np

from localize.io.plain_pickle import read_plain_pickle
from localize.types import InputError
from localize.types.checks import check_array

PARTS = ("train", "val")


@dataclass(frozen=True, eq=False)
class SfmLists:
    """Names of N photos, the 3D model of each (N,) int64, and (P, 2) int64 places of a query and its positive."""

    names: tuple[str, ...]
    cluster: np.ndarray
    pairs: np.ndarray

    def __post_init__(self):
        check_array(self, "cluster", np.int64, (len(self.names),))
        check_array(self, "pairs", np.int64, (None, 2))


def read_sfm_lists(path: pathlib.Path, part: str = "train") -> SfmLists:
    """One part of the file; InputError with what is wrong with it, nothing of it run whatever it holds."""
    found = read_plain_pickle(path)
    listed = found.get(part) if isinstance(found, dict) else None
    keys = ("cids", "cluster", "qidxs", "pidxs")
    columns = [listed.get(key) if isinstance(listed, dict) else None for key in keys]
    if not all(isinstance(column, list) for column in columns):
        raise InputError(f"{path} has no lists {', '.join(keys)} in {part}: is it retrieval-SfM-120k.pkl?")
    names, cluster, queries, positives = columns
    problems = []
    if len(names) != len(cluster) or len(queries) != len(positives):
        problems.append(
            f"{len(names)} cids have {len(cluster)} clusters, and {len(queries)} qidxs {len(positives)} pidxs"
        )
    if not all(isinstance(name, str) and len(name) >= 6 and name.isalnum() for name in names):
        problems.append("cids holds what is no name of at least six letters and digits")
    if not all(type(number) is int for number in cluster):
        problems.append("cluster holds what is no whole number")
    for key, places in (("qidxs", queries), ("pidxs", positives)):
        if not all(type(place) is int and 0 <= place < len(names) for place in places):
            problems.append(f"{key} must be whole numbers from 0 to {len(names) - 1}, the places in cids")
    if problems:
        raise InputError(*(f"{path}: {part}: {problem}: get the file again" for problem in problems))
    pairs = np.array([queries, positives], np.int64).T.reshape(-1, 2)
    return SfmLists(tuple(names), np.array(cluster, np.int64), pairs)


def sfm_photo(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Where a photo lies below the folder `ims`."""
    return folder / name[-2:] / name[-4:-2] / name[-6:-4] / name
