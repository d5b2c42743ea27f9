"""Large text files of numbers, read a block at a time, so that memory holds one block and never the file."""

import codecs
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from localize.kernels.numbers import parse_rows
from localize.types import InputError, check_regular

_BLOCK_BYTES = 4 << 20
_MAX_LINE_BYTES = 64 << 20  # a point seen a million times


@dataclass(frozen=True, eq=False)
class Rows:
    """The numbers of some lines; row i holds values[start[i]:start[i] + length[i]]. Lines without numbers make none."""

    values: np.ndarray  # (V,) float64, finite, correctly rounded
    start: np.ndarray  # (R,) int64
    length: np.ndarray  # (R,) int64
    line: np.ndarray  # (R,) int64, in the file, from 1
    next_line: int  # the first line after these

    def __len__(self) -> int:
        return len(self.start)

    def columns(self, first: int, stop: int) -> np.ndarray:
        """Columns first to stop of each row, (R, stop - first); every row must have them."""
        return self.values[self.start[:, None] + np.arange(first, stop)]

    def rest(self, first: int) -> np.ndarray:
        """All values from column `first` of each row on, one row's after the other's, (V - R first,)."""
        keep = np.ones(len(self.values), bool)
        keep[self.start[:, None] + np.arange(first)] = False
        return self.values[keep]


def open_input(path: pathlib.Path):
    """The file opened for reading bytes; InputError if it is missing."""
    check_regular(path)
    try:
        return open(path, "rb")
    except (FileNotFoundError, IsADirectoryError) as e:
        raise InputError(f"file {path} is missing") from e


def _value(token: bytes, where: str) -> float:
    """What the kernel leaves over: many digits or an exponent; InputError for what is no finite number."""
    try:
        value = float(token) if b"_" not in token else None
    except ValueError:
        value = None
    if value is None or not np.isfinite(value):
        shown = token[:40].decode("utf-8", "replace")
        raise InputError(f"{where}: expected a number, but found {shown!r}: the file may be damaged; copy it again")
    return value


def parse_block(text: bytes, path: pathlib.Path, line: int, max_rows: int = 2**62) -> tuple[Rows, int]:
    """Rows of a text that ends with a line end and begins in line `line` of the file, and the bytes they took."""
    data = np.frombuffer(text, np.uint8)
    size, lines = len(data) // 2 + 1, text.count(b"\n")
    values, unsure = np.empty(size), np.empty((size, 3), np.int64)
    end, row_line = np.empty(lines, np.int64), np.empty(lines, np.int64)
    rows, count, doubts, used_lines, used = parse_rows(data, max_rows, values, end, row_line, unsure)
    end, row_line = end[:rows], row_line[:rows] + line
    for k, first, stop in unsure[:doubts].tolist():
        values[k] = _value(text[first:stop], f"{path}:{row_line[np.searchsorted(end, k, 'right')]}")
    start = np.concatenate([np.zeros(1, np.int64), end])[:rows]
    return Rows(values[:count], start, end - start, row_line, line + used_lines), used


def read_rows(file, path: pathlib.Path, line: int = 1, max_rows: int = 2**62) -> Iterator[Rows]:
    """The numbers from the file's position (in line `line`) on, in blocks; lines that begin with # are comments.

    Afterwards the file stands behind the last row read. InputError, naming the line, for what is no finite number and
    for a last line without an end, whose last number may have lost digits.
    """
    rest, left = b"", max_rows
    while left > 0:
        read = file.read(_BLOCK_BYTES)
        text = rest + (read.removeprefix(codecs.BOM_UTF8) if file.tell() == len(read) else read)
        stop = text.rfind(b"\n") + 1
        if stop:
            rows, used = parse_block(text[:stop], path, line, left)
            line, left = rows.next_line, left - len(rows)
            if left == 0:
                file.seek(used - len(text), 1)
            yield rows
        rest = text[stop:]
        if len(rest) > _MAX_LINE_BYTES:
            raise InputError(f"{path}:{line}: this line has more than {_MAX_LINE_BYTES >> 20} MB: copy the file again")
        if not read:
            if left > 0 and rest.strip():
                raise InputError(
                    f"{path}:{line}: the file ends in the middle of this line: it may be cut off, copy it again "
                    "(if it is whole, end its last line)"
                )
            return
