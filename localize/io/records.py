"""Records to files and back: arrays stay arrays, nested records, tuples and scalars go into JSON."""

import dataclasses
import importlib
import json
import pathlib
import zlib

import numpy as np

from localize.keys import FORMER_FIELDS, NEW_FIELDS, present_name, stored_name
from localize.types import StoreError

FORMAT = 1  # of a record's folder
CHUNK = 1 << 24  # bytes summed at a time
LARGE = 4096  # bytes; a nested array of more is a file of its own, not numbers in JSON


def _name(cls: type) -> str:
    return ":".join(stored_name(cls).rsplit(".", 1))


def _record_class(name: str) -> type:
    """The dataclass of this name; StoreError for anything else, as a file may come from anywhere."""
    module, _, attribute = present_name(name.replace(":", ".")).rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as e:
        raise StoreError(f"{name} cannot be imported: put the module it comes from on PYTHONPATH ({e})") from e
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


def record_from_json(value, apart: dict | None = None):
    """The value that `record_to_json` took apart."""
    if isinstance(value, list):
        return tuple(record_from_json(v, apart) for v in value)
    if isinstance(value, dict) and "record" in value:
        cls, name = _record_class(value["record"]), value["record"].replace(":", ".")
        gone, new = FORMER_FIELDS.get(name, {}), NEW_FIELDS.get(name, {})
        fields = new | {k: v for k, v in value["fields"].items() if k not in gone or v != gone[k]}
        try:
            return cls(**{k: record_from_json(v, apart) for k, v in fields.items()})
        except TypeError as e:
            raise StoreError(f"{value['record']} has other fields than when it was stored ({e})") from e
    if isinstance(value, dict) and "apart" in value:
        return apart[value["apart"]]
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], value["dtype"])
    return value


def record_to_arrays(record) -> tuple[dict[str, np.ndarray], str]:
    """A record's arrays by field name, and everything else as JSON text."""
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
    rest = {k: record_to_json(v, arrays, k) for k, v in values.items() if k not in arrays}
    return arrays, json.dumps({"record": _name(type(record)), "fields": rest})


def record_from_arrays(arrays: dict[str, np.ndarray], text: str):
    """The record that `record_to_arrays` took apart."""
    head = json.loads(text)
    own = {name: array for name, array in arrays.items() if "." not in name}
    rest = {k: record_from_json(v, arrays) for k, v in head["fields"].items()}
    return _record_class(head["record"])(**own, **rest)


def save_array(path: pathlib.Path, array: np.ndarray) -> None:
    """Write a .npy file. Unlike np.save, a full disk is an OSError that says so."""
    array = np.ascontiguousarray(array)
    with open(path, "wb") as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(array))
        f.write(array.reshape(-1).view(np.uint8).data)


def save_record(folder: pathlib.Path, record) -> None:
    """Write a record into a folder: one .npy per array, record.json for the rest, with a checksum of each array."""
    arrays, text = record_to_arrays(record)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        save_array(folder / f"{name}.npy", array)
    head = {"format": FORMAT, "crc32": {name: _checksum(array) for name, array in arrays.items()}}
    (folder / "record.json").write_text(json.dumps(head | json.loads(text)))


def _checksum(array: np.ndarray) -> int:
    """CRC-32 of the array's bytes."""
    data, total = np.ascontiguousarray(array).reshape(-1).view(np.uint8), 0
    for at in range(0, len(data), CHUNK):
        total = zlib.crc32(data[at : at + CHUNK], total)
    return total


def load_record(folder: pathlib.Path, *, verify: bool = False):
    """Read what `save_record` wrote; arrays are memory-mapped, so only touched pages are read.

    A missing, shortened or foreign file is a StoreError; with `verify` everything is read once, and one whose checksum
    is another as well.
    """
    try:
        text = (folder / "record.json").read_text()
        head = json.loads(text)
        if head.get("format", FORMAT) != FORMAT:
            raise StoreError(f"{folder} was written by another version of localize (format {head['format']})")
        arrays = {p.stem: np.load(p, mmap_mode="r", allow_pickle=False) for p in sorted(folder.glob("*.npy"))}
        for name, expected in head.get("crc32", {}).items() if verify else ():
            if _checksum(arrays[name]) != expected:
                raise StoreError(f"{folder / name}.npy is damaged (its checksum is wrong)")
        return record_from_arrays(arrays, text)
    except FileNotFoundError as e:
        raise StoreError(f"{folder} holds no saved result ({e.filename} is missing)") from e
    except (ValueError, TypeError, EOFError, KeyError, AttributeError) as e:
        raise StoreError(f"{folder} is damaged ({e})") from e
