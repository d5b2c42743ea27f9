"""The points of a COLMAP model, text or binary, without their tracks: the images of a model hold the same again."""

import mmap
import pathlib

import numpy as np

from localize.io.number_rows import open_input, read_rows
from localize.kernels.numbers import record_starts
from localize.types import InputError

_HEAD = 51  # bytes of a point in points3D.bin before its track: u64 id, f64 xyz, u8 rgb, f64 error, u64 length
_BLOCK_BYTES = 4 << 20


def map_file(path: pathlib.Path) -> mmap.mmap:
    """The file's bytes, read when touched; ValueError if it is empty, InputError if it is missing.

    Pages that were touched count as this process's memory until `drop_pages`.
    """
    with open_input(path) as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def drop_pages(data: mmap.mmap) -> None:
    """Let go of the pages read so far; they are read again when touched."""
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)


def read_colmap_points(folder: pathlib.Path, suffix: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (P,) int64 ascending, points (P, 3) float64 m and track lengths (P,) int64 of points3D.bin or .txt.

    InputError if a line is wrong, ValueError if the file is cut off or lists an id twice.
    """
    path = folder / f"points3D{suffix}"
    ids, points, lengths = _read_binary(path) if suffix == ".bin" else _read_text(path)
    if (ids[1:] <= ids[:-1]).any():
        order = np.argsort(ids, kind="stable")
        ids, points, lengths = ids[order], points[order], lengths[order]
        if (ids[1:] == ids[:-1]).any():
            raise ValueError(f"{path.name} lists point {ids[1:][ids[1:] == ids[:-1]][0]} more than once")
    return ids, points, lengths


def _read_binary(path: pathlib.Path):
    data = map_file(path)
    count = int.from_bytes(data[:8], "little")
    if len(data) < 8 or count > (len(data) - 8) // _HEAD:
        raise ValueError(f"points3D.bin is too short for its {count} points")
    ids, points, lengths = np.empty(count, np.int64), np.empty((count, 3)), np.empty(count, np.int64)
    done, at, size = 0, 8, _BLOCK_BYTES
    while done < count:
        block = np.frombuffer(data[at : at + size], np.uint8)
        starts, tracks = np.empty((2, len(block) // _HEAD + 1), np.int64)
        n, used = record_starts(block, _HEAD, _HEAD - 8, 8, starts, tracks)
        n = min(n, count - done)
        if n == 0:
            if at + size >= len(data):
                raise ValueError(f"points3D.bin ends after point {done} of {count}")
            size *= 2  # one point's track is longer than the block
            continue
        raw = block[starts[:n, None] + np.arange(32)]
        ids[done : done + n] = raw[:, :8].copy().view("<i8")[:, 0]
        points[done : done + n] = raw[:, 8:].copy().view("<f8")
        lengths[done : done + n] = tracks[:n]
        done, at = done + n, at + used
        drop_pages(data)
    return ids, points, lengths


def _read_text(path: pathlib.Path):
    ids, points, lengths = [np.empty(0, np.int64)], [np.empty((0, 3))], [np.empty(0, np.int64)]
    with open_input(path) as file:
        for rows in read_rows(file, path):
            bad = np.flatnonzero((rows.length < 8) | (rows.length % 2 > 0))
            if len(bad):
                raise InputError(
                    f"{path}:{rows.line[bad[0]]}: {rows.length[bad[0]]} numbers, but expected id X Y Z R G B error "
                    "and pairs of image id and keypoint; the file may be cut off"
                )
            if len(rows):
                ids.append(rows.columns(0, 1)[:, 0].astype(np.int64))
                points.append(rows.columns(1, 4))
                lengths.append((rows.length - 8) // 2)
    return np.concatenate(ids), np.concatenate(points), np.concatenate(lengths)


def row_finder(ids: np.ndarray):
    """A function from ids (K,) int64 to their places among the ascending ids, int32; -1 = nowhere."""
    if len(ids) and ids[0] >= 0 and ids[-1] < 4 * len(ids) + 1000:  # few gaps: a table, many times as fast
        table = np.full(ids[-1] + 2, -1, np.int32)
        table[ids] = np.arange(len(ids), dtype=np.int32)
        return lambda wanted: table[np.where((wanted < 0) | (wanted > ids[-1]), ids[-1] + 1, wanted)]
    closed = np.append(ids, -1)  # what is above all ids is found there

    def find(wanted: np.ndarray) -> np.ndarray:
        rows = np.searchsorted(ids, wanted).astype(np.int32)
        rows[(closed[rows] != wanted) | (wanted < 0)] = -1
        return rows

    return find
