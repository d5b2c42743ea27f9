"""Records to files and back: arrays stay arrays, nested records, tuples and scalars go into JSON.

A file may come from anywhere, and may have been harmed. It names classes, of which only the package's own and those
that the caller trusts are made, and no module is imported for it but the package's. Beside each array stand its type,
shape and checksum; the bytes before the numbers must be those that belong to them, so a harmed header is never read.
"""

import dataclasses
import importlib
import io
import json
import math
import os
import pathlib
import sys
import tokenize
import zlib
from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np

from localize.io.files import GONE, refused_reading
from localize.keys import FORMER_FIELDS, NEW_FIELDS, present_name, stored_name
from localize.types import StoreError, check_regular

FORMAT = 1  # of a record's folder
CHUNK = 1 << 24  # bytes summed at a time
LARGE = 4096  # bytes; a nested array of more is a file of its own, not numbers in JSON
SMALL = 256 << 20  # bytes; a record of less is always compared with its checksums, in a quarter of a second
DAMAGED = (  # what JSON, numpy and the records' own checks raise on a file that was harmed
    ValueError, TypeError, EOFError, LookupError, AttributeError, ArithmeticError, RecursionError, SyntaxError,
    tokenize.TokenError,
)  # fmt: skip
_PACKAGE = pathlib.Path(__file__).parents[1]


def _name(cls: type) -> str:
    return ":".join(stored_name(cls).rsplit(".", 1))


def _is_ours(module: str) -> bool:
    """Whether a module is a file of the package: what lies beside a checkout could be imported by such a name too."""
    top, *parts = module.split(".")
    path = _PACKAGE.joinpath(*parts)
    ours = path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    return top == __package__.partition(".")[0] and all(part.isidentifier() for part in parts) and ours


def trusted_by(classes: Collection[type]) -> frozenset[str]:
    """The caller's own modules: those of classes that the caller holds."""
    return frozenset(cls.__module__.partition(".")[0] for cls in classes)


def _record_class(name: str, trusted: Collection[str] = ()) -> type:
    """The dataclass of this name, of the package or of a module that is trusted; StoreError for anything else."""
    module, _, attribute = present_name(name.replace(":", ".")).rpartition(".")
    ours = _is_ours(module)
    if not ours and not (module.partition(".")[0] in trusted and module in sys.modules):
        raise StoreError(f"{name} is no class of localize, and what a file names is not imported")
    try:
        cls = getattr(importlib.import_module(module) if ours else sys.modules[module], attribute)
    except (ImportError, AttributeError, ValueError) as e:
        raise StoreError(f"there is no {name} in this version of localize ({e})") from e
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise StoreError(f"{name} is not a dataclass, so it is no record")
    return cls


def record_to_json(value, apart: dict | None = None, path: str = ""):
    """The value in JSON types; a record becomes its class and fields. Large arrays go to `apart`, if given, by path."""
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value)]
        fields = {n: record_to_json(getattr(value, n), apart, f"{path}.{n}") for n in names}
        return {"record": _name(type(value)), "fields": fields}
    if isinstance(value, np.ndarray):
        if apart is not None and value.nbytes > LARGE:
            apart[path] = value
            return {"apart": path}
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    if isinstance(value, list | tuple):
        return [record_to_json(v, apart, f"{path}.{i}") for i, v in enumerate(value)]
    return value


def record_from_json(value, apart: dict | None = None, trusted: Collection[str] = ()):
    """The value that `record_to_json` took apart; trusted: the caller's modules, see `trusted_by`."""
    if isinstance(value, list):
        return tuple(record_from_json(v, apart, trusted) for v in value)
    if isinstance(value, dict) and "record" in value:
        cls, name = _record_class(value["record"], trusted), value["record"].replace(":", ".")
        gone, new = FORMER_FIELDS.get(name, {}), NEW_FIELDS.get(name, {})
        fields = new | {k: v for k, v in value["fields"].items() if k not in gone or v != gone[k]}
        try:
            return cls(**{k: record_from_json(v, apart, trusted) for k, v in fields.items()})
        except TypeError as e:
            raise StoreError(f"{value['record']} has other fields than when it was stored ({e})") from e
    if isinstance(value, dict) and "apart" in value:
        return apart[value["apart"]]
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], _numbers(value["dtype"]))
    return value


def _numbers(dtype: str) -> np.dtype:
    """The type of this name; ValueError if it is none of numbers, such as objects, which no file may hold."""
    found = np.dtype(dtype)
    if found.kind not in "biuf":
        raise ValueError(f"values of type {dtype!r} are no numbers")
    return found


def record_to_arrays(record) -> tuple[dict[str, np.ndarray], str]:
    """A record's arrays by field name, and everything else as JSON text."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
    rest = {k: record_to_json(v, arrays, k) for k, v in values.items() if k not in arrays}
    return arrays, json.dumps({"record": _name(type(record)), "fields": rest})


def record_from_arrays(arrays: dict[str, np.ndarray], text: str, trusted: Collection[str] = ()):
    """The record that `record_to_arrays` took apart."""
    head = json.loads(text)
    own = {name: array for name, array in arrays.items() if "." not in name}
    rest = {k: record_from_json(v, arrays, trusted) for k, v in head["fields"].items()}
    return _record_class(head["record"], trusted)(**own, **rest)


def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """What a .npy file of ours has before the numbers."""
    memory = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(memory, described)
    return memory.getvalue()


def save_array(path: pathlib.Path, array: np.ndarray) -> None:
    """Write a .npy file. Unlike np.save, a full disk is an OSError that says so."""
    array = np.ascontiguousarray(array)
    with open(path, "wb") as f:
        f.write(_header(array.dtype, array.shape))
        f.write(array.reshape(-1).view(np.uint8).data)


def note_of(array: np.ndarray) -> dict:
    """What a saved array must be when it is read again, in JSON types."""
    return {"dtype": array.dtype.str, "shape": list(array.shape), "crc32": _checksum(array)}


def load_array(path: pathlib.Path, note: dict, *, verify: bool = False) -> np.ndarray:
    """The array of a note, memory-mapped; ValueError if the file holds another, or, to `verify`, other numbers."""
    dtype, shape = _numbers(note["dtype"]), tuple(map(int, note["shape"]))
    header = _header(dtype, shape)
    with open(path, "rb") as f:
        start, size = f.read(len(header)), os.fstat(f.fileno()).st_size
    if start != header or size != len(header) + dtype.itemsize * math.prod(shape) or min(shape) < 0:
        raise ValueError(f"{path.name} does not hold the {dtype} {shape} that were saved")
    array = np.memmap(path, dtype, "r", len(header), shape)
    if verify and _checksum(array) != note["crc32"]:
        raise ValueError(f"{path.name} is damaged (its checksum is wrong)")
    return array


class ArrayWriter:
    """A .npy file as `save_array` writes it, but row by row: no more of it is in memory than is written at once."""

    def __init__(self, path: pathlib.Path, width: int, dtype: np.dtype, most: int):
        """For up to `most` rows of `width` values."""
        self._path, self._width, self._dtype, self._crc32, self._rows = path, width, np.dtype(dtype), 0, 0
        self._header_bytes = len(_header(self._dtype, (most, width)))
        with open(path, "wb") as f:
            f.write(bytes(self._header_bytes))

    def add(self, rows: np.ndarray) -> None:
        """Write rows (N, width) behind the others."""
        data = np.ascontiguousarray(rows, self._dtype).reshape(-1).view(np.uint8).data
        with open(self._path, "ab") as f:
            f.write(data)
        self._crc32, self._rows = zlib.crc32(data, self._crc32), self._rows + len(rows)

    def finish(self) -> tuple[np.ndarray, dict]:
        """The array, memory-mapped, and its note (see `note_of`)."""
        shape = self._rows, self._width
        header = _header(self._dtype, shape)
        if len(header) != self._header_bytes:
            raise ValueError(f"the header of {shape} has another length than that of the most rows there could be")
        with open(self._path, "r+b") as f:
            f.write(header)
        note = {"dtype": self._dtype.str, "shape": list(shape), "crc32": self._crc32}
        return load_array(self._path, note) if self._rows else np.zeros(shape, self._dtype), note


def save_record(folder: pathlib.Path, record, written: Mapping[str, dict] = MappingProxyType({})) -> None:
    """Write a record into a folder: one .npy per array, record.json for the rest, with what each array must be.

    written: the notes of arrays that an `ArrayWriter` has put there.
    """
    arrays, text = record_to_arrays(record)
    folder.mkdir(parents=True, exist_ok=True)
    for name in arrays.keys() - written.keys():
        save_array(folder / f"{name}.npy", arrays[name])
    notes = {name: written[name] if name in written else note_of(array) for name, array in arrays.items()}
    head = {"format": FORMAT, "arrays": notes}
    (folder / "record.json").write_text(json.dumps(head | {"crc32": text_checksum(text)} | json.loads(text)))


def text_checksum(text: str | bytes) -> int:
    """CRC-32 of a text."""
    return zlib.crc32(text if isinstance(text, bytes) else text.encode())


def _checksum(array: np.ndarray) -> int:
    """CRC-32 of the array's bytes."""
    data, total = np.ascontiguousarray(array).reshape(-1).view(np.uint8), 0
    for at in range(0, len(data), CHUNK):
        total = zlib.crc32(data[at : at + CHUNK], total)
    return total


def load_record(folder: pathlib.Path, *, verify: bool = False, trusted: Collection[str] = ()):
    """Read what `save_record` wrote; arrays are memory-mapped, so only touched pages are read.

    A missing, shortened, harmed or foreign file is a StoreError. Everything is read once and compared with its checksum
    where it is small, and with `verify` wherever it is. UnreadableError where the system refuses to read.
    """
    try:
        for path in folder.iterdir():
            check_regular(path)
        text = (folder / "record.json").read_text()
        head = json.loads(text)
        if head.get("format", FORMAT) != FORMAT:
            raise StoreError(f"{folder} was written by another version of localize (format {head['format']})")
        if "arrays" not in head:  # as older versions wrote them
            return record_from_arrays(_older_arrays(folder, head.get("crc32", {}) if verify else {}), text, trusted)
        kept = json.dumps({"record": head["record"], "fields": head["fields"]})
        if text_checksum(kept) != head["crc32"]:
            raise ValueError("the checksum of record.json is wrong")
        small = sum(p.stat().st_size for p in folder.glob("*.npy")) <= SMALL
        notes = head["arrays"].items()
        arrays = {name: load_array(folder / f"{name}.npy", note, verify=verify or small) for name, note in notes}
        return record_from_arrays(arrays, kept, trusted)
    except GONE as e:
        raise StoreError(f"{folder} holds no saved result ({e.filename} is missing)") from e
    except OSError as e:
        raise refused_reading(e, pathlib.Path(e.filename or folder)) or StoreError(f"{folder} is damaged ({e})") from e
    except DAMAGED as e:
        raise StoreError(f"{folder} is damaged ({e})") from e


def _older_arrays(folder: pathlib.Path, crc32: dict[str, int]) -> dict[str, np.ndarray]:
    """The arrays of a folder without notes; ValueError where a checksum is another."""
    arrays = {p.stem: np.load(p, mmap_mode="r", allow_pickle=False) for p in sorted(folder.glob("*.npy"))}
    for name, expected in crc32.items():
        if _checksum(arrays[name]) != expected:
            raise ValueError(f"{name}.npy is damaged (its checksum is wrong)")
    return arrays
