"""What makes a key: everything that decides a result, told in words and hashed."""

import dataclasses
import hashlib
import importlib
import importlib.metadata
import inspect
import json
import os

import numpy as np

from localize.components import comes_from_files
from localize.types import InputError, check_regular

FORMER_NAMES = {  # classes that moved or were renamed: what was stored under the former name is still theirs
    "localize.evaluate.search.descriptor_sets.DescriptorSet": "localize.evaluate.descriptor_sets.DescriptorSet",
    "localize.retrieval.exact.ExactRanking": "localize.retrieval.exact.Exact",
    "localize.retrieval.faiss_vectors.FaissHnswRanking": "localize.retrieval.faiss_vectors.FaissHnsw",
    "localize.retrieval.faiss_vectors.FaissIvfRanking": "localize.retrieval.faiss_vectors.FaissIvf",
    "localize.retrieval.faiss_vectors.FaissPqRanking": "localize.retrieval.faiss_vectors.FaissPq",
}
# Fields that are gone, with the value that what remains stands for: what was stored with it is still the class's.
FORMER_FIELDS = {"localize.retrieval.compact.Compact": {"one_pass": False}}
# Fields that are new, with the value that what was stored without them stands for: it is still theirs.
NEW_FIELDS = (
    {
        f"localize.features.{module}": {"detector": "pycolmap"}
        for module in ("sift.Sift", "sift_crbnet.SiftCrbnet", "sift_tfeat.SiftTfeat")
    }
    | {"localize.index.faiss_pq.FaissIvfPq": {"code": "pq"}}
    | {f"localize.matching.{name}": {"device": "auto"} for name in ("mutual.MutualNearest", "epipolar.EpipolarNearest")}
)
_PRESENT_NAMES = {former: present for present, former in FORMER_NAMES.items()}


def stored_name(cls: type) -> str:
    """The module and class under which results of the class are stored: those of before it moved or was renamed."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    return FORMER_NAMES.get(name, name)


def present_name(name: str) -> str:
    """The module and class that a stored name stands for now."""
    return _PRESENT_NAMES.get(name, name)


def describe(value, *, building: bool = False):
    """The value in JSON types, for a key. `building=True` leaves out what only matters at query time.

    A component becomes its type, VERSION, library versions, fields, and the content of its `files()`. TypeError for
    what cannot be told in words, InputError for a file that cannot be read.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        spec = {"type": stored_name(cls), "version": getattr(cls, "VERSION", None)}
        if cls.__module__ == "__main__":  # every script has a __main__: its classes are told apart by their source
            spec["source"] = hashlib.blake2b(_source(cls).encode(), digest_size=8).hexdigest()
        for library in getattr(value, "LIBRARIES", ()):
            spec[f"library {library}"] = _version(library)
        spec |= FORMER_FIELDS.get(spec["type"], {})
        for f in dataclasses.fields(value):
            if not (building and f.metadata.get("query")):
                spec[f.name] = describe(getattr(value, f.name), building=building)
        for name, former in NEW_FIELDS.get(spec["type"], {}).items():
            if spec.get(name) == former:
                del spec[name]
        if comes_from_files(cls):
            spec["files"] = [_content(path) for path in value.files()]
        return spec
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16).hexdigest()
        return {"array": digest, "dtype": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, dict):
        return {str(k): describe(v, building=building) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(v, building=building) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be part of a key")


def _version(library: str) -> str:
    """The installed version; importing a large library only to ask it would cost seconds."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:  # installed under another name than it is imported by
        return importlib.import_module(library).__version__


def _content(path: str | os.PathLike) -> str:
    try:
        return file_digest(path)
    except OSError as e:
        raise InputError(f"file {path} cannot be read ({e.strerror})") from e


def _source(cls: type) -> str:
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError) as e:
        raise TypeError(f"the source of {cls.__name__} is not to be had: define it in a file") from e


def key_of(spec) -> str:
    """16 hexadecimal digits that stand for this specification."""
    return hashlib.blake2b(json.dumps(describe(spec), sort_keys=True).encode(), digest_size=8).hexdigest()


def file_digest(path: str | os.PathLike) -> str:
    """Digest of a file's bytes, so that a replaced photo of the same name is another photo."""
    check_regular(path)
    with open(path, "rb") as f:
        return hashlib.file_digest(f, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def sha256_of(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal: what others publish for their files."""
    check_regular(path)
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def file_stamp(path: str | os.PathLike) -> tuple[int, int] | None:
    """Size and time of a file, which change when it is replaced and cost less than its digest; None without it."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
