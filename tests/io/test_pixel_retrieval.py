"""Labels and result files of pixel retrieval: as numpy writes them, of all numpy's ways, and never run."""

import json
import os
import pickle

import numpy as np
import pytest

from localize.io.benchmarks.pixel_retrieval import read_found, read_labels, write_found, write_labels
from localize.io.plain_npy import read_npy_dictionary
from localize.types import InputError

SQUARE = np.array([[1, 2], [5, 2], [5, 7], [1, 7.5]])


def test_what_is_written_is_read_again(tmp_path):
    found = {(0, 3): SQUARE, (12, 4): np.zeros((0, 2))}
    write_found(tmp_path / "found.npy", found)
    theirs = np.load(tmp_path / "found.npy", allow_pickle=True).item()  # as the published code reads it
    assert theirs == {"qimlist_0_imlist_3": SQUARE.tolist(), "qimlist_12_imlist_4": []}
    again = read_found(tmp_path / "found.npy")
    assert [again[pair].tolist() for pair in found] == [p.tolist() for p in found.values()]
    assert read_found(tmp_path / "found.npy", swapped=True)[0, 3].tolist() == SQUARE[:, ::-1].tolist()
    labels = {(0, 3): [SQUARE, SQUARE + 9], (1, 3): [SQUARE]}
    write_labels(tmp_path, "oxford", labels)
    paths = np.load(tmp_path / "oxford_pair2labelpath.npy", allow_pickle=True).item()
    shapes = json.loads((tmp_path / paths["0_3"]).read_text())["shapes"]
    assert [shape["points"] for shape in shapes] == [p.tolist() for p in labels[0, 3]]
    read = read_labels(tmp_path, "oxford", labels)
    assert [[p.tolist() for p in read[pair]] for pair in labels] == [[p.tolist() for p in ps] for ps in labels.values()]


@pytest.mark.parametrize("protocol", [3, 4])  # of numpy 1 and 2
def test_every_way_in_which_numpy_writes_points(tmp_path, protocol):
    """Tuples, arrays of whole and broken numbers, numpy's numbers, objects; a point that stands in two places."""
    point, fortran = (3, 4), np.asfortranarray(SQUARE.astype(np.float32))
    ways = [[point, point, (5, 6)], SQUARE, SQUARE.astype(np.int64), fortran, list(map(tuple, SQUARE)), []]
    ways += [[(np.float64(1.5), np.int32(2)), (3, 4)], np.array([(1, 2), (3, 4.5)], object).tolist(), np.zeros((0, 2))]
    values = {f"qimlist_0_imlist_{i}": way for i, way in enumerate(ways)}
    path = tmp_path / "found.npy"
    np.save(path, np.array(values, object), allow_pickle=True)
    header = path.read_bytes().partition(b"\n")[0] + b"\n"
    path.write_bytes(header + pickle.dumps(np.array(values, object), protocol))
    found = read_found(path)
    for i, way in enumerate(ways):
        assert found[0, i].tolist() == np.array(way, np.float64).reshape(-1, 2).tolist()


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "value",
    [
        Evil(),
        {"a": Evil()},
        {"a": np.array([Evil()], object)},
        {"a": np.datetime64("2020-01-01")},
        {"a": np.array(["text"])},
        {"a": np.zeros(2, [("x", "f8")])},
        {"a": 1 + 2j},
        {"a": [[0, 0]] * 3},
        [1, 2],
        {1: 2},
    ],
)
def test_what_holds_anything_else_is_refused_and_not_run(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    np.save("found.npy", np.array(value, object), allow_pickle=True)
    with pytest.raises(InputError, match=r"found\.npy"):
        read_npy_dictionary(tmp_path / "found.npy")
    assert os.listdir(tmp_path) == ["found.npy"]


def test_types_that_numpy_lacks_and_arrays_in_two_places_are_refused(tmp_path):
    path, none = tmp_path / "found.npy", np.zeros((0, 2))
    np.save(path, np.array({"qimlist_0_imlist_0": none, "qimlist_0_imlist_1": none}, object), allow_pickle=True)
    with pytest.raises(InputError, match="in another place too"):
        read_found(path)
    np.save(path, np.array({"a": none}, object), allow_pickle=True)
    path.write_bytes(path.read_bytes().replace(b"f8", b"f1"))
    with pytest.raises(InputError, match="calls dtype"):
        read_npy_dictionary(path)


def test_harmed_files_are_refused(tmp_path):
    path = tmp_path / "found.npy"
    write_found(path, {(0, i): SQUARE for i in range(3)})
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(whole), 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"found\.npy"):
            read_found(path)
    for _ in range(300):  # whatever a flipped byte makes of it
        harmed = bytearray(whole)
        harmed[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(bytes(harmed))
        try:
            assert all(p.shape[1:] == (2,) for p in read_found(path).values())
        except InputError as e:
            assert "found.npy" in str(e)  # noqa: PT017


def test_what_is_wrong_is_said(tmp_path):
    np.save(
        tmp_path / "a.npy",
        np.array(
            {"0_1": [], "qimlist_0_imlist_1": [1, 2, 3], "qimlist_0_imlist_2": "x", "qimlist_0_imlist_3": [[1, 1e9]]},
            object,
        ),
    )
    with pytest.raises(InputError) as e:
        read_found(tmp_path / "a.npy")
    assert len(e.value.problems) == 4
    with pytest.raises(InputError, match="is missing"):
        read_found(tmp_path / "none.npy")
    np.save(tmp_path / "numbers.npy", np.zeros(3))
    with pytest.raises(InputError, match="not one object"):
        read_found(tmp_path / "numbers.npy")
    write_labels(tmp_path, "oxford", {(0, i): [SQUARE] for i in range(4)})
    (tmp_path / "oxford/0_1.json").write_text("{")
    (tmp_path / "oxford/0_2.json").write_text('{"shapes": []}')
    (tmp_path / "oxford/0_3.json").unlink()
    with pytest.raises(InputError) as e:
        read_labels(tmp_path, "oxford", [(0, i) for i in range(12)])
    assert len(e.value.problems) == 6
    assert "and 6 more" in e.value.problems[-1]
    for shapes, said in (
        ([{"points": [[1, 2], [3, 4]], "shape_type": "rectangle"}], "has a 'rectangle'"),  # two corners are no outline
        ([{"points": [[1, 2], [3, 4]]}], "fewer than three points"),
        ([5], "no labelme file"),
    ):
        (tmp_path / "oxford/0_0.json").write_text(json.dumps({"shapes": shapes}))
        with pytest.raises(InputError, match=said):
            read_labels(tmp_path, "oxford", [(0, 0)])
