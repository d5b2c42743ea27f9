"""COLMAP databases of any version, read without ever writing to them, and a writer for export.

Opened by COLMAP or pycolmap, an older database is changed to the newest schema in place; here SQLite opens it as an
immutable file, so no byte of it changes and no -wal or -shm file appears beside it.
"""

import os
import pathlib
import sqlite3
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property

import numpy as np

from localize.io.files import whole_file
from localize.io.number_rows import open_input
from localize.types import Image, InputError

_MAGIC = b"SQLite format 3\0"
_MAX_ROWS = 2**31 - 1


class ColmapDatabase:
    """Names, keypoints and descriptors of a COLMAP database.

    It may be used from several threads, each of which gets its own connection, and pickled: only the path travels.
    """

    def __init__(self, path: str | pathlib.Path):
        """Check that the file is whole and holds what COLMAP's databases hold; InputError says what is missing."""
        self.path = pathlib.Path(path).absolute()
        self._local = threading.local()
        _check_file(self.path)
        tables = {name for (name,) in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        missing = [t for t in ("images", "keypoints", "descriptors") if t not in tables]
        if missing:
            raise InputError(f"{self.path} has no table {', '.join(missing)}: it is no COLMAP database")

    def __reduce__(self):
        return ColmapDatabase, (self.path,)

    @cached_property
    def names(self) -> dict[str, int]:
        """Image id by name, in the order of the ids."""
        return dict(self._rows("SELECT name, image_id FROM images ORDER BY image_id"))

    def keypoints(self, name: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """xy (N, 2) px in COLMAP's convention, scales (N,) px and orientations (N,) rad, all float32.

        The latter two are None where the database holds positions only. N is 0 for an image without keypoints.
        """
        values = self._blob("keypoints", name, np.dtype("<f4"))
        if values is None:
            return np.zeros((0, 2), np.float32), None, None
        if values.shape[1] not in (2, 4, 6):
            raise InputError(f"{self.path}: keypoints of image {name} have {values.shape[1]} columns, not 2, 4 or 6")
        if not np.isfinite(values).all():
            raise InputError(f"{self.path}: keypoints of image {name} hold NaN or infinite values: copy it again")
        xy = np.ascontiguousarray(values[:, :2])
        if values.shape[1] == 2:
            return xy, None, None
        if values.shape[1] == 4:
            return xy, values[:, 2].copy(), values[:, 3].copy()
        a11, a12, a21, a22 = values[:, 2:].T  # columns of the affine shape: its x and y axes, as COLMAP takes them
        return xy, (np.hypot(a11, a21) + np.hypot(a12, a22)) / 2, np.arctan2(a21, a11)

    def descriptors(self, name: str) -> np.ndarray | None:
        """(N, D) uint8 as stored, D = 128 for SIFT (the value 512 d of a unit vector d); None if there are none.

        Newer databases name the kind of descriptor in a column; it is not looked at.
        """
        return self._blob("descriptors", name, np.dtype(np.uint8))

    def _blob(self, table: str, name: str, dtype: np.dtype) -> np.ndarray | None:
        """The (rows, cols) array of an image, or None; InputError if the image or part of the array is missing."""
        if name not in self.names:
            raise InputError(f"{self.path} has no image {name}: names must agree letter by letter")
        found = self._rows(f"SELECT rows, cols, data FROM {table} WHERE image_id = ?", (self.names[name],))
        if not found:
            return None
        rows, cols, data = found[0]
        data = b"" if data is None else data
        sound = all(isinstance(n, int) and 0 <= n <= _MAX_ROWS for n in (rows, cols)) and isinstance(data, bytes)
        if not sound or len(data) != rows * cols * dtype.itemsize:
            held = f"{len(data)} bytes" if isinstance(data, bytes) else "no bytes"
            raise InputError(
                f"{self.path}: {table} of image {name} hold {held}, but {rows} x {cols} values were announced: "
                "the database is damaged; copy it again"
            )
        return np.frombuffer(data, dtype).reshape(rows, cols)

    def _rows(self, query: str, values: tuple = ()) -> list[tuple]:
        """All rows of a query on this thread's connection; InputError if the file is damaged."""
        try:
            # not inherited: SQLite's connections must not cross a fork
            if getattr(self._local, "owner", None) != os.getpid():
                uri = f"file:{urllib.parse.quote(str(self.path))}?mode=ro&immutable=1"
                self._local.connection, self._local.owner = sqlite3.connect(uri, uri=True), os.getpid()
            return self._local.connection.execute(query, values).fetchall()
        except sqlite3.Error as e:
            raise InputError(f"{self.path} cannot be read as a COLMAP database ({e}): copy it again") from e


def _check_file(path: pathlib.Path) -> None:
    """InputError if this is no SQLite file, is shorter than it says, or has changes that were never written to it."""
    with open_input(path) as file:
        head = file.read(100)
        size = os.fstat(file.fileno()).st_size
    if len(head) < 100 or not head.startswith(_MAGIC):
        raise InputError(f"{path} is no SQLite file, so it is no COLMAP database")
    page = int.from_bytes(head[16:18], "big")
    pages = int.from_bytes(head[28:32], "big") if head[24:28] == head[92:96] else 0  # else the number is out of date
    expected = (65536 if page == 1 else page) * pages
    if size < expected:
        raise InputError(f"{path} is cut off: it has {size} bytes of {expected}; copy it again")
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.is_file() and beside.stat().st_size:
            raise InputError(
                f"{path} was not closed: {beside.name} holds changes that are not in it; open and close it once with "
                "the program that wrote it"
            )


def write_colmap_database(
    path: str | pathlib.Path,
    images: Sequence[Image],
    keypoints: Mapping[str, np.ndarray],
    descriptors: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a new COLMAP database: a camera per image, keypoints (N, 2, 4 or 6) px, SIFT descriptors (N, 128) uint8.

    By image name; ids count from 1 in the images' order. Whole or not at all; InputError if the file exists. The
    schema is that of the installed pycolmap.
    """
    from localize.geometry.colmap import pycolmap, to_pycolmap_camera

    path = pathlib.Path(path)
    if path.exists():
        raise InputError(f"{path} exists already: choose another name, or remove it")
    with whole_file(path) as partial:
        partial.unlink(missing_ok=True)
        with pycolmap.Database.open(str(partial)) as database:
            for i, image in enumerate(images, 1):
                database.write_camera(to_pycolmap_camera(image.camera, i), use_camera_id=True)
                database.write_image(pycolmap.Image(name=image.name, camera_id=i, image_id=i), use_image_id=True)
                database.write_keypoints(i, np.asarray(keypoints[image.name], np.float32))
                if descriptors is not None:
                    values = pycolmap.FeatureDescriptors(pycolmap.FeatureExtractorType.SIFT, descriptors[image.name])
                    database.write_descriptors(i, values)
        with closing(sqlite3.connect(partial)) as connection:  # one file, without a -wal beside it
            connection.execute("PRAGMA journal_mode = DELETE")
