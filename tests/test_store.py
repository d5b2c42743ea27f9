import contextlib
import dataclasses
import errno
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass

import h5py
import numpy as np
import pytest

from localize.features.sift import Sift
from localize.index.random_trees import RandomTrees
from localize.io import records
from localize.io.records import ArrayWriter
from localize.keys import describe, key_of
from localize.pose.poselib import PoseLib
from localize.store import Store
from localize.types import Features, Image, ImageList, PairMatches, PointRows, Pose, StoreError, UnreadableError
from tests.conftest import CHECKOUT, PINHOLE, random_features


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def pairs(n: int) -> PairMatches:
    return PairMatches(np.arange(2 * n).reshape(n, 2))


def items(n: int):
    return [(f"{i:02}", pairs(i), 0.1) for i in range(n)]


def test_keys_follow_what_decides_the_result():
    assert key_of(Sift()) == key_of(Sift())
    assert key_of(Sift()) != key_of(Sift(upright=True))
    assert key_of([np.arange(3)]) != key_of([np.arange(3.0)])
    assert "library pycolmap" in describe(Sift(detector="pycolmap"))  # another version may give other keypoints
    assert "library pycolmap" not in describe(Sift())
    assert key_of(PoseLib(max_error_px=12)) == key_of(PoseLib(max_error_px=12.0))  # as typed on the command line
    fewer = RandomTrees(budget=0.7)
    assert key_of(fewer) != key_of(RandomTrees())
    assert key_of(describe(fewer, building=True)) == key_of(describe(RandomTrees(), building=True))
    with pytest.raises(TypeError, match="cannot be part of a key"):
        key_of({"x": object()})


def test_artifact_is_built_once_and_read_back_exactly(store):
    made = []
    image = Image("a/b.jpg", PINHOLE, Pose(np.eye(3), [0.1, 1 / 3, 1e-17]), ("night",))

    def build():
        made.append(1)
        return ImageList((image,))

    spec = {"x": 1}
    first, key, reused = store.artifact("map", spec, build)
    again, same_key, reused_now = store.artifact("map", spec, build)
    assert (len(made), reused, reused_now, key) == (1, False, True, same_key)
    for result in (first, again):
        np.testing.assert_array_equal(result.images[0].pose.translation, image.pose.translation)
        assert (result.names, result.images[0].tags, result.images[0].camera.model) == (
            ("a/b.jpg",),
            ("night",),
            "PINHOLE",
        )
    assert '"x": 1' in (store.root / "map" / key / "spec.json").read_text()


def test_unfinished_artifact_is_never_read(store):
    spec = {"x": 2}
    key = key_of({"stage": "map", "spec": spec})
    partial = store.root / "map" / f"{key}.partial"
    partial.mkdir(parents=True)
    (partial / "record.json").write_text("{")  # what a kill -9 leaves behind
    record, _, reused = store.artifact("map", spec, lambda: pairs(3))
    assert not reused
    assert len(record.rows) == 3
    assert not partial.exists()


def test_a_flipped_bit_of_an_artifact_is_noticed_where_checksums_are_compared(store, caplog, monkeypatch):
    _, key, _ = store.artifact("map", {"x": 4}, lambda: pairs(100))
    file = store.root / "map" / key / "rows.npy"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    monkeypatch.setattr(records, "SMALL", 0)
    assert store.artifact("map", {"x": 4}, lambda: pairs(0))[2]  # of a large one only the pages that are used are read
    careful = Store(store.root, verify=True)
    _, _, reused = careful.artifact("map", {"x": 4}, lambda: pairs(100))
    assert not reused
    assert "rows.npy is damaged (its checksum is wrong)" in caplog.text
    assert careful.artifact("map", {"x": 4}, lambda: pairs(0))[2]


@pytest.mark.parametrize("name", ["rows.npy", "record.json"])
@pytest.mark.parametrize("small", [records.SMALL, 0])
def test_a_harmed_byte_of_an_artifact_is_named_and_mended(store, caplog, monkeypatch, name, small):
    """Any byte of the header, whatever is compared; the file cut anywhere; and any byte where it is small."""
    monkeypatch.setattr(records, "SMALL", small)
    wanted = np.arange(2e3, dtype=np.int32).reshape(-1, 2)
    _, key, _ = store.artifact("map", {}, lambda: PairMatches(wanted))
    file = store.root / "map" / key / name
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    end = len(whole) if small or name == "record.json" else 128
    harmed = [whole[: rng.integers(len(whole))] for _ in range(8)] + [b"[1]", b"[" * 10**5]
    for at in rng.integers(end, size=40):
        harmed.append(whole[:at] + bytes([whole[at] ^ 1 << rng.integers(8)]) + whole[at + 1 :])
    for data in harmed:
        file.write_bytes(data)
        caplog.clear()
        record, _, reused = store.artifact("map", {}, lambda: PairMatches(wanted))
        np.testing.assert_array_equal(record.rows, wanted)
        assert reused or f"{key}.damaged and computed again" in caplog.text
    for file in (store.root / "map" / f"{key}.damaged").iterdir():
        file.unlink()


@dataclass(frozen=True, eq=False)
class Own:
    rows: np.ndarray


def test_data_files_choose_nothing_to_import(store, tmp_path, monkeypatch, caplog):
    """Neither a module on the path, nor one beside the checkout by the package's name, nor a class of a library."""
    (tmp_path / "evil.py").write_text("import dataclasses; raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    shelf = store.shelf("s", {})
    for name in ("evil:Evil", "localize.tests.conftest:Own", "tests.test_store:Own", "pathlib:Path"):
        _, key, _ = store.artifact("map", {}, lambda: pairs(3))
        head = json.loads((store.root / "map" / key / "record.json").read_text()) | {"record": name}
        head["crc32"] = records.text_checksum(json.dumps({"record": name, "fields": head["fields"]}))
        (store.root / "map" / key / "record.json").write_text(json.dumps(head))
        assert not store.artifact("map", {}, lambda: pairs(3))[2]
        assert f"{name} is no class of localize, and what a file names is not imported" in caplog.text
        with monkeypatch.context() as m:
            m.setattr(records, "_name", lambda cls, name=name: name)
            with contextlib.suppress(StoreError):
                shelf.fill(iter([(name[:4], pairs(1), 0.1)]))
        with pytest.raises(StoreError, match="is damaged and was set aside"):
            store.shelf("s", {}).get(name[:4])
    assert "evil" not in sys.modules
    by_own = {"index": {"type": f"{__name__}.OwnIndex", "version": 1}}  # a component that the caller holds
    assert isinstance(store.artifact("index", by_own, lambda: Own(np.arange(3)))[0], Own)


def test_what_the_system_refuses_to_read_is_left_as_it_is(store, monkeypatch):
    store.artifact("map", {}, lambda: pairs(3))
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(3)))

    def refusing(number):
        def refuse(path, *_, **__):
            raise OSError(number, os.strerror(number), str(path))

        return refuse

    with monkeypatch.context() as m:
        m.setattr(records, "open", refusing(errno.EMFILE), raising=False)
        with pytest.raises(UnreadableError, match=r"rows\.npy: Too many open files; raise the number.*left as it is"):
            store.artifact("map", {}, lambda: pairs(0))
    for number, said in ((errno.EACCES, "Permission denied; permit it"), (errno.EIO, "check the disk")):
        with monkeypatch.context() as m:
            m.setattr(h5py, "File", refusing(number))
            with pytest.raises(UnreadableError, match=said):
                shelf.get("01")
            with pytest.raises(UnreadableError, match=said):
                store.shelf("s", {})
    assert not list(store.root.glob("*/*.damaged")) + list(store.root.glob("*/*/*.damaged"))
    assert store.artifact("map", {}, lambda: pairs(0))[2]
    assert len(store.shelf("s", {}).get("01").rows) == 1


def test_a_result_of_another_format_is_not_read(store, caplog):
    _, key, _ = store.artifact("map", {"x": 5}, lambda: pairs(3))
    head = store.root / "map" / key / "record.json"
    head.write_text(head.read_text().replace('"format": 1', '"format": 2'))
    assert not store.artifact("map", {"x": 5}, lambda: pairs(3))[2]
    assert "written by another version of localize (format 2)" in caplog.text


def test_shelf_returns_what_was_put(store):
    shelf = store.shelf("features", {"f": 1})
    rng = np.random.default_rng(0)
    whole = random_features(rng, 50)
    empty = Features(np.zeros((0, 2)), np.zeros((0, 16), np.float16), np.zeros(0))
    shelf.fill(iter([("a", whole, 1.5), ("b", empty, 0.5)]))
    for again in (shelf, store.shelf("features", {"f": 1})):
        np.testing.assert_array_equal(again.get("a").descriptors, whole.descriptors)
        assert again.get("a").scales is None
        assert again.get("b").descriptors.shape == (0, 16)
        assert again.seconds("a") == 1.5
    assert "a" not in store.shelf("features", {"f": 2})


def test_interruption_keeps_what_was_finished(store, monkeypatch):
    shelf = store.shelf("s", {})

    def interrupted():
        yield from items(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.fill(interrupted())
    assert [k for k, *_ in items(9) if k in store.shelf("s", {})] == ["00", "01", "02", "03", "04"]


@pytest.mark.parametrize("harm", ["truncate", "foreign", "text"])
def test_unreadable_shard_is_set_aside_by_name(store, harm, caplog):
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(3)))
    shelf.fill(iter([("other", pairs(1), 0.1)]))
    shard = shelf._where["01"]
    if harm == "truncate":
        shard.write_bytes(shard.read_bytes()[:-100])
    elif harm == "text":
        shard.write_text("not HDF5")
    else:
        with h5py.File(shard, "w") as f:
            f.attrs["shelf"] = "another"
            f.create_group("01")
    again = store.shelf("s", {})
    assert "01" not in again
    assert "other" in again
    assert shard.name in caplog.text
    assert shard.with_suffix(".damaged").exists()
    again.fill(iter(items(3)))
    np.testing.assert_array_equal(store.shelf("s", {}).get("02").rows, pairs(2).rows)


def test_flipped_bit_is_noticed(store):
    shelf = store.shelf("s", {})
    shelf.fill(iter([("a", PairMatches(np.arange(10_000).reshape(2, -1).T), 0.1)]))
    shard = shelf._where["a"]
    data = bytearray(shard.read_bytes())
    at = data.index(np.array([1000, 6000, 1001, 6001], np.int32).tobytes())
    data[at] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=f"{shard.name} is damaged and was set aside"):
        store.shelf("s", {}).get("a")
    assert "a" not in store.shelf("s", {})


@pytest.mark.parametrize("read", ["get", "seconds"])
def test_shard_cut_while_it_is_open(store, read):
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(3)))
    shard = shelf._where["01"]
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(StoreError, match=f"{shard.name} is damaged and was set aside"):
        getattr(shelf, read)("01")


def test_full_disk_says_so_and_keeps_the_rest(store, monkeypatch):
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(2)))

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"the disk is full.*store\.root=.*kept"):
        shelf.fill(iter([("late", pairs(1), 0.1)]))
    monkeypatch.undo()
    again = store.shelf("s", {})
    assert "01" in again
    assert "late" not in again
    assert not list(shelf.folder.glob("*.partial"))


def test_full_disk_inside_an_artifact(store, monkeypatch):
    real = open

    def full(path, mode="r", *args, **kwargs):
        if str(path).endswith(".npy") and "w" in mode:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, *args, **kwargs)

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(StoreError, match="the disk is full"):
        store.artifact("map", {}, lambda: pairs(3))
    assert not list((store.root / "map").glob("*.partial"))
    monkeypatch.undo()
    assert len(store.artifact("map", {}, lambda: pairs(3))[0].rows) == 3


def test_any_flipped_bit_gives_a_sentence_or_the_right_item(store):
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(4)))
    shard = shelf._where["02"]
    whole = shard.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        for leftover in shelf.folder.iterdir():
            leftover.unlink()
        shard.write_bytes(data)
        again = store.shelf("s", {})
        for item, record, _ in items(4):
            try:
                if item in again:
                    np.testing.assert_array_equal(again.get(item).rows, record.rows)
            except StoreError:
                break


def test_leftovers_of_a_crash_are_cleared(store):
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(1)))
    (shelf.folder / "dead.partial").write_text("half")
    with shelf.filling():
        assert not list(shelf.folder.glob("*.partial"))
    assert "00" in shelf


def test_read_only_store_can_still_be_read(store, monkeypatch, caplog):
    shelf = store.shelf("s", {})
    shelf.fill(iter(items(2)))
    store.artifact("map", {}, lambda: pairs(1))
    real = open

    def read_only(path, mode="r", *args, **kwargs):
        if "r" not in mode:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, mode, *args, **kwargs)

    monkeypatch.setattr("builtins.open", read_only)
    monkeypatch.setattr(pathlib.Path, "write_bytes", lambda *a: read_only("x", "w"))
    assert store.artifact("map", {}, lambda: pairs(1))[2]
    assert len(store.shelf("s", {}).get("01").rows) == 1
    store.check_writable()  # all that is asked for may be there
    assert "can only be read" in caplog.text
    with pytest.raises(StoreError, match="the disk is read-only"):
        Store(store.root / "new").check_writable()
    with pytest.raises(StoreError, match="the disk is read-only"):
        store.artifact("map", {"new": 1}, lambda: pairs(1))


def _build_slowly(root, log):
    def build():
        with open(log, "a") as f:
            f.write("built\n")
        time.sleep(0.5)
        return pairs(2)

    Store(root).artifact("map", {}, build)


def test_two_processes_build_once(store, tmp_path):
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [context.Process(target=_build_slowly, args=(store.root, log)) for _ in range(2)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    assert [p.exitcode for p in processes] == [0, 0]
    assert log.read_text() == "built\n"


def test_pycolmap_and_zlib_live_together():
    """pycolmap 4.2.1 exports its own zlib: imported first, Python's zlib crashes the process. We import zlib before."""
    code = "import localize.geometry.colmap, zlib; c = zlib.compressobj(); c.compress(b'a'); c.flush(); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr


def test_an_array_written_row_by_row_is_the_one_saved_whole(tmp_path):
    rng = np.random.default_rng(0)
    rows = PointRows(
        np.zeros((3, 3)), rng.normal(size=(5000, 8)).astype(np.float16), rng.integers(0, 3, 5000), [0, 5000]
    )

    def build(folder):
        writer = ArrayWriter(folder / "descriptors.npy", 8, np.float16, 9000)
        for part in np.split(rows.descriptors, [0, 1, 4000]):
            writer.add(part)
        descriptors, note = writer.finish()
        return dataclasses.replace(rows, descriptors=descriptors), {"descriptors": note}

    store = Store(tmp_path / "store", verify=True)
    streamed, key, _ = store.artifact("rows", {"streamed": True}, build, streamed=True)
    np.testing.assert_array_equal(streamed.descriptors, rows.descriptors)
    assert store.artifact("rows", {"streamed": True}, None, streamed=True)[2]  # its checksum is right
    _, whole, _ = store.artifact("rows", {}, lambda: rows)
    folder = tmp_path / "store" / "rows"
    for name in ("descriptors.npy", "point.npy", "record.json"):
        assert (folder / key / name).read_bytes() == (folder / whole / name).read_bytes()
