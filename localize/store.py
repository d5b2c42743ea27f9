"""Results on disk by content key: what was computed once is never computed again, nor mistaken for another.

The key of a result is the hash of its specification: the stage, the component's type, VERSION and fields, the
versions of the libraries it names, and the keys of everything upstream. `spec.json` beside the data says it in words.
One result is an artifact (a folder, built aside and renamed when whole); many items, such as the features of all
photos, lie on a shelf (HDF5 shards, each written aside and renamed when whole).
"""

import contextlib
import errno
import hashlib
import io
import json
import logging
import os
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator

import h5py
import numpy as np

from localize.components import check_value
from localize.io.files import (
    HDF5_DAMAGED,
    refused_reading,
    wait_for_lock,
    whole_file,
    whole_folder,
    write_bytes,
    writing,
)
from localize.io.hdf5 import group_in, values_in
from localize.io.records import load_record, record_from_arrays, record_to_arrays, save_record
from localize.keys import describe, key_of
from localize.types import InputError, StoreError, UnreadableError, check_regular

log = logging.getLogger(__name__)
READ_ONLY = errno.EROFS, errno.EACCES, errno.EPERM


def _digest(arrays: dict[str, np.ndarray], text: str) -> str:
    """Digest of an item, which a bit that flipped on the disk does not survive."""
    h = hashlib.blake2b(text.encode(), digest_size=8)
    for name in sorted(arrays):
        h.update(name.encode())
        h.update(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8))
    return h.hexdigest()


def _refused(error: OSError, root: pathlib.Path) -> StoreError:
    """The operating system's refusal to write in one sentence."""
    reason = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the disk quota is used up: free some space",
        errno.EROFS: "the disk is read-only: make it writable",
        errno.EACCES: "no permission to write there: ask for it",
        errno.EPERM: "no permission to write there: ask for it",
    }.get(error.errno, f"{error.strerror or error}: mend that")
    return StoreError(
        f"cannot write to the store {root}: {reason}, or choose another place with store.root=...; "
        "all that was finished before is kept and will be reused"
    )


def _makers(spec) -> frozenset[str]:
    """The modules, by their first names, of the components in a specification, which the caller holds.

    Of the records in the store, whoever put them there, these and the package's own are the only ones made.
    """
    if isinstance(spec, dict):
        own = {spec["type"].partition(".")[0]} if isinstance(spec.get("type"), str) else set()
        return frozenset(own).union(*map(_makers, spec.values()))
    return frozenset().union(*map(_makers, spec)) if isinstance(spec, list | tuple) else frozenset()


class Store:
    """A folder of results. Safe for several processes at once: each key has a lock."""

    def __init__(self, root: str | os.PathLike, *, verify: bool = False):
        if not isinstance(root, str | os.PathLike) or not str(root).strip():
            raise InputError(f"store.root is {root!r}, but must be a folder, such as store.root=outputs/store")
        check_value("store.verify", verify, bool)
        self.root = pathlib.Path(root).expanduser().absolute()
        self.verify = verify  # compare the checksums of artifacts, which reads them whole; items' are always compared

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Within it, a refusal to write is a StoreError."""
        return writing(self.root, _refused)

    def check_writable(self) -> None:
        """StoreError now rather than after hours. One that can be read alone may hold all that will be asked for."""
        probe = self.root / f".probe-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        except OSError as e:
            if e.errno not in READ_ONLY or not self.root.is_dir() or not any(self.root.iterdir()):
                raise _refused(e, self.root) from e
            log.warning("the store %s can only be read (%s): what is not in it is not computed", self.root, e.strerror)

    @contextlib.contextmanager
    def lock(self, path: pathlib.Path) -> Iterator[None]:
        """Hold the key's lock; it falls with the process, however that ends."""
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = open(path.with_name(path.name + ".lock"), "w")  # noqa: SIM115  closed below
        with handle:
            wait_for_lock(handle, path)
            yield

    def artifact(
        self, stage: str, spec: dict, build: Callable[..., object], *, streamed: bool = False
    ) -> tuple[object, str, bool]:
        """The record of this specification, built now if it is not there. Returns (record, key, reused).

        streamed: build(folder) writes arrays there itself (`ArrayWriter`) and returns the record and their notes.
        """
        key, makers = key_of({"stage": stage, "spec": spec}), _makers(describe(spec))
        final = self.root / stage / key
        record = self._finished(final, makers)
        if record is not None:
            return record, key, True
        with self.lock(final):
            record = self._finished(final, makers)  # another process may have built it while we waited
            if record is not None:
                return record, key, True
            for leftover in final.parent.glob(f"{key}*.partial"):
                shutil.rmtree(leftover, ignore_errors=True)
            made = None if streamed else (build(), {})
            with self.writing(), whole_folder(final) as new:
                save_record(new, *(made or build(new)))
                (new / "spec.json").write_text(json.dumps(describe(spec), indent=1))
        record = load_record(final, trusted=makers)  # computed now or reused, the caller gets the same arrays
        return record, key, False

    def _finished(self, folder: pathlib.Path, makers: frozenset[str]):
        """The record in a folder; None if there is none, or only a damaged one: that is set aside."""
        if not folder.is_dir():
            return None
        try:
            return load_record(folder, verify=self.verify, trusted=makers)
        except UnreadableError:
            raise
        except StoreError as e:
            aside = folder.with_name(f"{folder.name}.damaged")
            log.warning("%s; it is set aside as %s and computed again", e, aside.name)
            with self.writing():
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(folder, aside)
            return None

    def shelf(self, stage: str, spec: dict) -> "Shelf":
        """The shelf of this specification, possibly empty."""
        key = key_of({"stage": stage, "spec": spec})
        return Shelf(self, self.root / stage / key, key, spec)


class Shelf:
    """Many records of one specification, by item key, in HDF5 shards.

    A shard is written aside and renamed when whole, at the latest every `SHARD_SECONDS`, so that is what a crash costs.
    """

    SHARD_SECONDS = 5.0
    SHARD_BYTES = 64 << 20

    def __init__(self, store: Store, folder: pathlib.Path, key: str, spec: dict):
        self.store, self.folder, self.key, self.spec = store, folder, key, spec
        self.makers = _makers(describe(spec))
        self._where: dict[str, pathlib.Path] = {}
        self._scanned: set[pathlib.Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Look for shards that appeared since the last look; set damaged and foreign ones aside."""
        for path in sorted(self.folder.glob("*.h5")):
            if path in self._scanned:
                continue
            try:
                check_regular(path)
                with h5py.File(path, "r") as f:
                    if f.attrs.get("shelf") != self.key:
                        raise OSError("it is not a shard of this shelf")
                    self._where.update(dict.fromkeys(f, path))
                self._scanned.add(path)
            except FileNotFoundError:  # another process has just set it aside
                continue
            except HDF5_DAMAGED as e:
                self._set_aside(path, e)

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Hold the shelf's lock, know what others put there meanwhile, and clear what a crash left half written."""
        with self.store.lock(self.folder):
            for leftover in self.folder.glob("*.partial"):
                leftover.unlink()
            self.refresh()
            yield

    def _set_aside(self, path: pathlib.Path, why: Exception) -> None:
        """Take a damaged shard out of the way; UnreadableError, and nothing done, where the system refuses to read."""
        if refused := refused_reading(why, path):
            raise refused from why
        aside = path.with_suffix(".damaged")
        log.warning(
            "%s cannot be read (%s); it is set aside as %s and its items are computed again",
            path,
            str(why).split(",")[0],
            aside.name,
        )
        with self.store.writing(), contextlib.suppress(FileNotFoundError):  # another process may have been faster
            os.replace(path, aside)
        self._where = {k: p for k, p in self._where.items() if p != path}
        self._scanned.discard(path)

    def __contains__(self, item: str) -> bool:
        return item in self._where

    @contextlib.contextmanager
    def _group(self, item: str) -> Iterator[h5py.Group]:
        """The item's group, open; StoreError, after setting its shard aside, if what is read from it is damaged."""
        path = self._where[item]
        try:
            with h5py.File(path, "r") as f:
                yield group_in(f, item)
        except HDF5_DAMAGED as e:
            self._set_aside(path, e)
            raise StoreError(f"{path} is damaged and was set aside; run again to compute its items anew") from e

    def get(self, item: str):
        """The record of an item; StoreError if it is damaged."""
        return self.read(item)[0]

    def read(self, item: str) -> tuple[object, float]:
        """The record of an item, and how long it took when it was computed; StoreError if it is damaged."""
        with self._group(item) as group:
            arrays, text = {k: values_in(group, k) for k in group}, group.attrs["record"]
            if group.attrs["digest"] != _digest(arrays, text):
                raise ValueError(f"the digest of item {item} is wrong")
            return record_from_arrays(arrays, text, self.makers), float(group.attrs["seconds"])

    def seconds(self, item: str) -> float:
        """How long this item took when it was computed; StoreError if it is damaged."""
        with self._group(item) as group:
            return float(group.attrs["seconds"])

    def fill(self, results: Iterator[tuple[str, object, float]]) -> None:
        """Put (item key, record, seconds) as they come; what is finished survives whatever stops the iteration."""
        batch, size, since = {}, 0, time.monotonic()
        try:
            for item, record, seconds in results:
                arrays, text = record_to_arrays(record)
                batch[item] = (arrays, text, seconds)
                size += sum(a.nbytes for a in arrays.values())
                if size > self.SHARD_BYTES or time.monotonic() - since > self.SHARD_SECONDS:
                    self._write(batch)
                    batch, size, since = {}, 0, time.monotonic()
        finally:
            if batch:
                self._write(batch)

    def _write(self, batch: dict) -> None:
        memory = io.BytesIO()  # built in memory, so that a full disk shows as an OSError with its errno
        with h5py.File(memory, "w") as f:
            f.attrs["shelf"] = self.key
            for item, (arrays, text, seconds) in batch.items():
                group = f.create_group(item)
                group.attrs.update(record=text, seconds=seconds, digest=_digest(arrays, text))
                for name, array in arrays.items():
                    group.create_dataset(name, data=array)
        final = self.folder / f"{key_of(sorted(batch))}.h5"
        with self.store.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            spec = self.folder / "spec.json"
            if not spec.exists():
                write_bytes(spec, json.dumps(describe(self.spec), indent=1).encode())
            with whole_file(final) as partial, open(partial, "wb") as f:
                f.write(memory.getbuffer())
                f.flush()
                os.fsync(f.fileno())
        self._scanned.add(final)
        self._where.update(dict.fromkeys(batch, final))
