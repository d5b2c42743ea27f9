"""The ground truth of Revisited Oxford and Paris: read whole, and never run."""

import os
import pickle
import re

import numpy as np
import pytest

from localize.io.benchmarks.revisited import GradedPhotos, GradedQuery, read_graded_photos, write_graded_photos
from localize.io.plain_pickle import read_plain_pickle
from localize.types import InputError
from tests.conftest import SHARED

REAL = SHARED / "data" / "formats" / "revisitop"
ENTRY = {"bbx": [1, 2.5, 30, 40], "easy": [0], "hard": [2, 1], "junk": []}
WHOLE = {"imlist": ["a", "b", "c"], "qimlist": ["q"], "gnd": [ENTRY]}


def pickled(path, value, protocol: int = 2):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize(("name", "num_photos", "num_easy"), [("roxford5k", 4993, 68), ("rparis6k", 6322, 70)])
def test_the_real_files_are_read_as_pickle_reads_them(name, num_photos, num_easy):
    path = REAL / f"gnd_{name}.pkl"
    if not path.is_file():
        pytest.skip(f"the real ground truth is not at {path}")
    found, raw = read_graded_photos(path), pickle.loads(path.read_bytes())
    assert list(found.names) == raw["imlist"]
    assert len(found.names) == num_photos
    assert [q.name for q in found.queries] == raw["qimlist"]
    assert sum(len(q.easy) > 0 for q in found.queries) == num_easy
    for query, entry in zip(found.queries, raw["gnd"], strict=True):
        assert [*query.box] == entry["bbx"]
        assert [getattr(query, grade).tolist() for grade in ("easy", "hard", "junk")] == [
            entry[grade] for grade in ("easy", "hard", "junk")
        ]


def test_what_is_written_is_read(tmp_path):
    photos = GradedPhotos(("a", "b", "c"), (GradedQuery("q", (1, 2.5, 30, 40), [0], [2, 1], np.zeros(0)),))
    write_graded_photos(tmp_path / "gnd.pkl", photos)
    assert pickle.loads((tmp_path / "gnd.pkl").read_bytes()) == WHOLE
    (query,) = read_graded_photos(tmp_path / "gnd.pkl").queries
    assert (query.box, query.hard.tolist(), query.junk.tolist()) == ((1, 2.5, 30, 40), [2, 1], [])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_of_every_protocol(protocol, tmp_path):
    value = {"a": [1, 300, 70000, -1, 2**40, 0.5, "ü", "x" * 300], "b": {"c": [], "d": list(range(2500))}}
    assert read_plain_pickle(pickled(tmp_path / "p.pkl", value, protocol)) == value


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def nested() -> list:
    """A list that holds itself."""
    itself = []
    itself.append(itself)
    return itself


OTHERS = {
    "code": (lambda _, p: pickle.dumps(Evil(p / "made"), 2), "asks for GLOBAL 'posix mkdir'"),
    "an array": (lambda whole, _: pickle.dumps({**WHOLE, "gnd": np.zeros(3)}, 2), "asks for GLOBAL"),
    "a tuple": (lambda whole, _: pickle.dumps((1, 2), 2), "asks for TUPLE2"),
    "nothing": (lambda whole, _: pickle.dumps(None, 2), "asks for NONE"),
    "a list in itself": (lambda whole, _: pickle.dumps(nested(), 2), "stands in another place too"),
    "one list twice": (lambda whole, _: pickle.dumps([WHOLE["imlist"]] * 2, 2), "stands in another place too"),
    "infinite": (lambda whole, _: pickle.dumps([float("inf")], 2), "inf at byte"),
    "no text as a key": (lambda whole, _: pickle.dumps({1: 2}, 2), "keys that are no text"),
    "cut off": (lambda whole, _: whole[:-5], "not enough data"),
    "more after its end": (lambda whole, _: whole + b"x", "ends at byte"),
    "takes what is not there": (lambda whole, _: b"\x80\x02h\x07.", "takes what is not there"),
    "a mark at the end": (lambda whole, _: b"\x80\x02](.", "ends at byte 4"),
    "a text of 2**63 bytes": (lambda whole, _: b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f" + b"ab.", "expected"),
    "text": (lambda whole, _: b"<!DOCTYPE html>", "no whole pickle"),
    "empty": (lambda whole, _: b"", "no whole pickle"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_nothing_else_is_read(what, tmp_path):
    make, sentence = OTHERS[what]
    path = tmp_path / "gnd.pkl"
    path.write_bytes(make(pickle.dumps(WHOLE, 2), tmp_path))
    with pytest.raises(InputError, match=re.escape(sentence)) as e:
        read_graded_photos(path)
    assert str(path) in str(e.value)
    assert len(e.value.problems) == 1
    assert not (tmp_path / "made").exists()


WRONG = {
    "no lists imlist, qimlist and gnd": {"imlist": ["a"], "qimlist": ["q"]},
    "names 2 queries but grades 1": {**WHOLE, "qimlist": ["q", "r"]},
    "imlist holds a name twice": {**WHOLE, "imlist": ["a", "a", "c"]},
    "qimlist holds what is no name": {**WHOLE, "qimlist": [7]},
    "query q: its entry must hold": {**WHOLE, "gnd": [{"bbx": [1, 2, 3, 4]}]},
    "query q: bbx is [1, 2, 3]": {**WHOLE, "gnd": [{**ENTRY, "bbx": [1, 2, 3]}]},
    "which is empty": {**WHOLE, "gnd": [{**ENTRY, "bbx": [5, 2, 5.4, 4]}]},
    "whole numbers from 0 to 2": {**WHOLE, "gnd": [{**ENTRY, "easy": [3]}]},
    "a photo is graded twice": {**WHOLE, "gnd": [{**ENTRY, "junk": [2]}]},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_ground_truth_is_named(sentence, tmp_path):
    with pytest.raises(InputError, match=re.escape(sentence)):
        read_graded_photos(pickled(tmp_path / "gnd.pkl", WRONG[sentence]))


def test_all_wrong_queries_are_named_at_once(tmp_path):
    bad = {**WHOLE, "qimlist": [f"q{i}" for i in range(8)], "gnd": [{**ENTRY, "easy": [9]}] * 8}
    bad["gnd"] = [dict(entry, **{k: list(v) for k, v in entry.items()}) for entry in bad["gnd"]]
    with pytest.raises(InputError) as e:
        read_graded_photos(pickled(tmp_path / "gnd.pkl", bad))
    assert len(e.value.problems) == 6
    assert "and 3 more" in e.value.problems[-1]
    with pytest.raises(InputError, match=r"none\.pkl is missing"):
        read_graded_photos(tmp_path / "none.pkl")
