"""Archives unpacked whole or not at all, and never outside of their folder.

Everything is written aside (`<archive>.unpacking`) and moved when it is whole; `<archive>.unpacked.json` then says what
came out, so that a second run does nothing, even when the archive itself was deleted.
"""

import gzip
import json
import logging
import os
import pathlib
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from localize.io.fetching.filecheck import bytes_text
from localize.io.files import locked, refused_reading, writing
from localize.io.text import write_text
from localize.keys import sha256_of
from localize.types import InputError

log = logging.getLogger(__name__)

KINDS = (".zip", ".tar", ".tar.gz", ".tgz", ".gz")
PACKED, ROOM = 300, 16 << 20  # times an archive's size, and bytes beyond, that may come out of it
LITTER = ("Thumbs.db", ".DS_Store", "__MACOSX")  # what file browsers leave in archives
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, NotImplementedError)


class _Room:
    """Bytes that an archive may still write: no more than the disk has, nor than an honest one could hold.

    Ten kilobytes can stand for gigabytes of zeros, as a sparse file, or packed several times.
    """

    def __init__(self, archive: pathlib.Path, aside: pathlib.Path):
        self.archive, self.aside, self.free = archive, aside, shutil.disk_usage(archive.parent).free
        self.honest = ROOM + PACKED * archive.stat().st_size

    def take(self, size: int) -> None:
        """InputError if there is less room than this."""
        self.free, self.honest = self.free - size, self.honest - size
        if self.free < 0:
            raise InputError(
                f"the disk is too small for what is in {self.archive}: free some space, or choose a folder on a larger "
                "disk"
            )
        if self.honest < 0:
            shutil.rmtree(self.aside, ignore_errors=True)
            raise InputError(
                f"{self.archive} holds more than {PACKED} times its own size: it is not unpacked; is it the right "
                "file? If so, unpack it by hand"
            )


@dataclass(frozen=True)
class _Entry:
    """One file in an archive."""

    name: str  # relative, with forward slashes
    size: int | None  # bytes, if the archive says
    open: Callable[[], BinaryIO]


def unpacked(archive: pathlib.Path, folder: pathlib.Path) -> list[str] | None:
    """Names, relative to `folder`, of what came out of the archive; None unless all of it is there.

    The archive may have been deleted; one that has changed since does not count as unpacked.
    """
    try:
        note = json.loads(_note(archive).read_text())
        files, was = note["files"], note["archive"]
        if any((folder / name).stat().st_size != size for name, size in files.items()):
            return None
        if archive.exists():
            now = archive.stat()
            same = now.st_size == was["size"] and (
                now.st_mtime_ns == was["mtime_ns"] or sha256_of(archive) == was["sha256"]
            )
            return list(files) if same else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return list(files)


def unpack(archive: pathlib.Path, folder: pathlib.Path, *, keep: bool = True) -> list[str]:
    """Unpack into `folder`; names of the files, relative to it. What is unpacked already is left alone.

    An archive whose files all lie in one folder of the same name as `folder` fills that, not a second one inside.
    keep: False deletes the archive afterwards. InputError, and nothing moved, if it is damaged or would write anywhere
    else, or if the disk is too small.
    """
    archive, folder = pathlib.Path(archive).absolute(), pathlib.Path(folder).absolute()
    with locked(archive):
        files = unpacked(archive, folder)
        if files is None:
            files = _unpack(archive, folder)
        if not keep:
            archive.unlink(missing_ok=True)
    return files


def _note(archive: pathlib.Path) -> pathlib.Path:
    return archive.with_name(archive.name + ".unpacked.json")


def _unpack(archive: pathlib.Path, folder: pathlib.Path) -> list[str]:
    if not archive.is_file():
        raise InputError(f"archive {archive} is missing")
    aside = archive.with_name(archive.name + ".unpacking")
    was = archive.stat()
    with writing(aside):
        _same_archive(aside, f"{was.st_size} {was.st_mtime_ns}")
    try:
        files = _extract(archive, aside, folder)
    except (*DAMAGED, OSError) as e:
        if refused := refused_reading(e, archive):
            raise InputError(str(refused)) from e
        raise InputError(f"{archive} is damaged ({e}): delete it and run again to fetch it anew") from e
    top = {name.partition("/")[0] for name in files}
    inner = f"{folder.name}/" if top == {folder.name} and all("/" in name for name in files) else ""
    sizes = {name.removeprefix(inner): size for name, size in files.items()}
    described = {"name": archive.name, "size": was.st_size, "mtime_ns": was.st_mtime_ns, "sha256": sha256_of(archive)}
    with writing(folder):
        for name in sizes:
            final = folder / name
            final.parent.mkdir(parents=True, exist_ok=True)
            _set_aside(final, aside / (inner + name), archive)
            os.replace(aside / (inner + name), final)
        write_text(_note(archive), json.dumps({"archive": described, "files": sizes}, indent=0))
        shutil.rmtree(aside, ignore_errors=True)
    return list(sizes)


def _same_archive(aside: pathlib.Path, stamp: str) -> None:
    """Make the folder; what lies there from another archive of the same name is removed."""
    source = aside / ".source"
    if not source.exists() or source.read_text() != stamp:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        source.write_text(stamp)


def _set_aside(final: pathlib.Path, source: pathlib.Path, archive: pathlib.Path) -> None:
    """Keep another file of this name: a list that a later release replaces may still be wanted."""
    if final.is_file() and not _same_bytes(final, source):
        old = final.with_name(final.name + ".replaced")
        os.replace(final, old)
        log.warning("%s is replaced by the one in %s; the old one is kept as %s", final, archive.name, old.name)


def _same_bytes(a: pathlib.Path, b: pathlib.Path) -> bool:
    return a.stat().st_size == b.stat().st_size and sha256_of(a) == sha256_of(b)


def _extract(archive: pathlib.Path, aside: pathlib.Path, folder: pathlib.Path) -> dict[str, int]:
    """Write the archive's files aside, those from an interrupted run excepted; bytes by name."""
    kind = next((kind for kind in KINDS if archive.name.lower().endswith(kind)), None)
    if kind is None:
        raise InputError(f"{archive} is no archive of a known kind: {', '.join(KINDS)}")
    room = _Room(archive, aside)
    if kind == ".zip":
        with zipfile.ZipFile(archive) as z:
            entries = list(_zip_entries(archive, z))  # all names are checked before anything is written
            _check_space(archive, folder, sum(e.size for e in entries if not _there(aside / e.name, e)))
            return {entry.name: _write(aside, entry, room) for entry in entries}
    if kind == ".gz":
        with gzip.open(archive) as source:
            return {archive.stem: _write(aside, _Entry(archive.stem, None, lambda: source), room)}
    with _unzipped(archive) as source:
        with tarfile.open(fileobj=source, mode="r|*") as t:
            files = {entry.name: _write(aside, entry, room) for entry in _tar_entries(archive, t)}
        while source.read(1 << 20):  # to the end, where gzip has its checksum
            pass
        return files


def _unzipped(archive: pathlib.Path) -> BinaryIO:
    """The file, without gzip around it: tarfile takes that off too, but passes over its checksum."""
    with open(archive, "rb") as f:
        zipped = f.read(2) == b"\x1f\x8b"
    return gzip.open(archive) if zipped else open(archive, "rb")


def _zip_entries(archive: pathlib.Path, z: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in z.infolist():
        name = _safe(archive, info.filename, is_link=stat.S_ISLNK(info.external_attr >> 16))
        if info.flag_bits & 1:
            raise InputError(f"{archive} is locked with a password: it is not unpacked; is it the right file?")
        if name and not info.is_dir():
            yield _Entry(name, info.file_size, lambda info=info: z.open(info))


def _tar_entries(archive: pathlib.Path, t: tarfile.TarFile) -> Iterator[_Entry]:
    for member in t:
        name = _safe(archive, member.name, is_link=not (member.isreg() or member.isdir()))
        if name and member.issparse():
            raise InputError(f"{archive} holds {name!r} with holes in it: it is not unpacked; is it the right file?")
        if name and member.isreg():
            yield _Entry(name, member.size, lambda member=member: t.extractfile(member))


def _safe(archive: pathlib.Path, name: str, is_link: bool) -> str:
    """The name, relative, with forward slashes; "" for litter; InputError if it leads out of the folder."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    outside = name.startswith("/") or ".." in parts or any(c in name for c in "\\\0") or ":" in "".join(parts[:1])
    if outside or is_link:
        what = "is a link or a device" if is_link else "would land outside of its folder"
        raise InputError(f"{archive} holds {name!r}, which {what}: it is not unpacked; is it the right file?")
    return "" if any(part in LITTER for part in parts) else "/".join(parts)


def _there(path: pathlib.Path, entry: _Entry) -> bool:
    """Whether an interrupted run has written it; it was renamed when whole, so the size is enough."""
    return path.is_file() and path.stat().st_size == entry.size


def _write(aside: pathlib.Path, entry: _Entry, room: _Room) -> int:
    """Write one file aside, whole or not at all; its bytes."""
    path = aside / entry.name
    if not _there(path, entry):
        partial = path.with_name(path.name + ".partial")
        with writing(partial):
            path.parent.mkdir(parents=True, exist_ok=True)
            out = open(partial, "wb")  # noqa: SIM115  closed below
        with out, entry.open() as source:
            while chunk := source.read(1 << 20):  # an error here is the archive's, not the disk's
                room.take(len(chunk))
                with writing(partial):
                    out.write(chunk)
                    out.flush()
        with writing(path):
            os.replace(partial, path)
    return path.stat().st_size


def _check_space(archive: pathlib.Path, folder: pathlib.Path, needed: int) -> None:
    free = shutil.disk_usage(archive.parent).free
    if needed > free:
        raise InputError(
            f"unpacking {archive.name} into {folder} needs {bytes_text(needed)}, but the disk has {bytes_text(free)} "
            "free: free some space, or choose a folder on a larger disk"
        )
