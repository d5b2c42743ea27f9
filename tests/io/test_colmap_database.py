"""COLMAP databases of every age: read without a change to them, or refused with a sentence that says why."""

import hashlib
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from localize.geometry.colmap import pycolmap
from localize.io.models.colmap_database import ColmapDatabase, write_colmap_database
from localize.types import Image, InputError
from tests.conftest import PINHOLE

KEYPOINTS = {n: np.random.default_rng(n).normal(50, 9, (5 + n, n)).astype(np.float32) for n in (2, 4, 6)}
IMAGES = [Image(f"db/{n}?#.png", PINHOLE) for n in KEYPOINTS]


@pytest.fixture
def database(tmp_path):
    """A database of today's COLMAP with 2, 4 and 6 columns of keypoints."""
    path = tmp_path / "a b%20.db"
    named = {image.name: k for image, k in zip(IMAGES, KEYPOINTS.values(), strict=True)}
    descriptors = {name: np.full((len(k), 128), len(k), np.uint8) for name, k in named.items()}
    write_colmap_database(path, IMAGES, named, descriptors)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes()[18:20] == b"\1\1"  # no reader will want a -wal beside it
    return path


@pytest.fixture
def old_database(tmp_path):
    """A database as COLMAP 3.4 wrote it: no rigs, no type of descriptors; one image without features."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as c:
        c.execute("CREATE TABLE images (image_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, camera_id INTEGER)")
        for table in ("keypoints", "descriptors"):
            c.execute(f"CREATE TABLE {table} (image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB)")
        c.executemany("INSERT INTO images VALUES (?, ?, 1)", [(7, "db/1.jpg"), (3, "db/2.jpg")])
        values = np.arange(12, dtype=np.float32)
        c.execute("INSERT INTO keypoints VALUES (7, 3, 4, ?)", (values.tobytes(),))
        c.execute("INSERT INTO descriptors VALUES (7, 3, 128, ?)", (bytes(range(128)) * 3,))
        c.execute("PRAGMA user_version = 3400")
    c.execute("PRAGMA journal_mode = WAL")  # an ordinary reader of such a file puts -wal and -shm beside it
    c.close()
    return path


def test_database_gives_what_was_written(database):
    for source in (ColmapDatabase(database), pickle.loads(pickle.dumps(ColmapDatabase(database)))):
        assert source.names == {image.name: i for i, image in enumerate(IMAGES, 1)}
        for image, (columns, expected) in zip(IMAGES, KEYPOINTS.items(), strict=True):
            xy, scales, orientations = source.keypoints(image.name)
            np.testing.assert_array_equal(xy, expected[:, :2])
            assert source.descriptors(image.name).tolist() == [[len(xy)] * 128] * len(xy)
            if columns == 2:
                assert scales is orientations is None
            else:
                if columns == 4:
                    np.testing.assert_array_equal(np.stack([scales, orientations], 1), expected[:, 2:])
                else:
                    keys = ("x", "y", "a11", "a12", "a21", "a22")
                    of = [pycolmap.FeatureKeypoint(dict(zip(keys, map(float, k), strict=True))) for k in expected]
                    np.testing.assert_allclose(scales, [k.compute_scale() for k in of], rtol=1e-5)
                    np.testing.assert_allclose(orientations, [k.compute_orientation() for k in of], rtol=1e-5)
    with pytest.raises(InputError, match="exists already"):
        write_colmap_database(database, [], {})


def test_old_database_is_read_by_many_and_not_touched(old_database):
    """pycolmap would bring the schema up to date in place."""
    before = hashlib.sha256(old_database.read_bytes()).hexdigest(), sorted(old_database.parent.iterdir())
    source = ColmapDatabase(old_database)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: source.keypoints("db/1.jpg"), range(40)))
    for xy, scales, orientations in found:
        assert xy.tolist() == [[0, 1], [4, 5], [8, 9]]
        assert (scales.tolist(), orientations.tolist()) == ([2, 6, 10], [3, 7, 11])
    assert source.descriptors("db/1.jpg").shape == (3, 128)
    assert len(source.keypoints("db/2.jpg")[0]) == 0
    assert source.descriptors("db/2.jpg") is None
    assert list(source.names) == ["db/2.jpg", "db/1.jpg"]
    assert before == (hashlib.sha256(old_database.read_bytes()).hexdigest(), sorted(old_database.parent.iterdir()))


def test_bad_databases_are_named(old_database, tmp_path):
    with pytest.raises(InputError, match=r"old\.db has no image db/3\.jpg"):
        ColmapDatabase(old_database).keypoints("db/3.jpg")
    with sqlite3.connect(old_database) as c:
        c.execute("UPDATE keypoints SET rows = 4")
        c.execute("UPDATE descriptors SET data = NULL")
    c.close()
    with pytest.raises(
        InputError, match=r"keypoints of image db/1\.jpg hold 48 bytes, but 4 x 4 values were announced"
    ):
        ColmapDatabase(old_database).keypoints("db/1.jpg")
    with pytest.raises(InputError, match=r"descriptors of image db/1\.jpg hold 0 bytes, but 3 x 128"):
        ColmapDatabase(old_database).descriptors("db/1.jpg")
    with sqlite3.connect(old_database) as c:
        c.execute("UPDATE keypoints SET rows = 4, cols = 3")
    c.close()
    with pytest.raises(InputError, match="have 3 columns, not 2, 4 or 6"):
        ColmapDatabase(old_database).keypoints("db/1.jpg")
    bad, data = tmp_path / "bad.db", old_database.read_bytes()
    for content, sentence in ((b"", "no SQLite file"), (b"x" * 500, "no SQLite file"), (data[:-1], "is cut off")):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=sentence):
            ColmapDatabase(bad)
    with sqlite3.connect(old_database) as c:
        c.execute("DROP TABLE keypoints")
    c.close()
    with pytest.raises(InputError, match="has no table keypoints"):
        ColmapDatabase(old_database)
    (tmp_path / "old.db-wal").write_bytes(b"changes")
    with pytest.raises(InputError, match=r"was not closed: old\.db-wal"):
        ColmapDatabase(old_database)
    with pytest.raises(InputError, match=r"nothing\.db is missing"):
        ColmapDatabase(tmp_path / "nothing.db")
