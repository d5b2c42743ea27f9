"""Files and folders written whole or not at all, locks, and sentences for what goes wrong."""

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator

from localize.types import InputError, UnreadableError

log = logging.getLogger(__name__)
HDF5_DAMAGED = (  # what h5py, and what makes records of its values, raise on a file that was harmed
    OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError,
)  # fmt: skip


def refused(error: OSError, path: pathlib.Path) -> InputError:
    """The operating system's refusal to write in one sentence."""
    where = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"the disk of {where} is full: free some space and run again; what has arrived is kept")
    return InputError(f"cannot write {where}: {error.strerror or error}; choose a folder that you may write")


_FULL = errno.ENOSPC, errno.EDQUOT, errno.EROFS  # only who writes is told so
_NOT_OURS = {  # errors of the machine or of what a user gave, not of this program
    *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EIO, errno.ESTALE, errno.ENXIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}


def refused_by_system(error: OSError, own: Collection[str]) -> str | None:
    """The operating system's refusal in a sentence; None: it is a defect. own: the folders that we write to."""
    what = os.path.abspath(error.filename) if isinstance(error.filename, str | os.PathLike) else None
    ours = what and any(os.path.commonpath([what, folder]) == folder for folder in map(os.path.abspath, own))
    if error.errno in _FULL or (error.errno in _NOT_OURS and ours):
        return (
            f"cannot write {what or 'the results'}: {error.strerror}; free some space or choose other folders with "
            "hydra.run.dir=... and store.root=...; all that was finished is kept"
        )
    if error.errno in _NOT_OURS or (error.errno == errno.ENOENT and what and not ours):
        return f"cannot read {what or 'a file'}: {error.strerror}; mend that and run again; what was finished is kept"
    return None


GONE = FileNotFoundError, IsADirectoryError, NotADirectoryError  # what a file in the wrong place is, whatever it held


def refused_reading(error: BaseException, path: pathlib.Path) -> UnreadableError | None:
    """What to say if the system refuses to read a file, which says nothing about the file; None for any other error.

    h5py puts the system's number into its own text.
    """
    if isinstance(error, GONE) or not isinstance(error, OSError | MemoryError):
        return None
    found = re.search(r"errno = (\d+)", str(error))
    number = getattr(error, "errno", errno.ENOMEM) or (int(found[1]) if found else 0)
    if number in (0, errno.EINVAL):  # a harmed file may name a place before its first byte
        return None
    what_to_do = {
        errno.EACCES: "permit it",
        errno.EPERM: "permit it",
        errno.EMFILE: "raise the number of files that a process may open (ulimit -n)",
        errno.ENFILE: "close other programs",
        errno.EIO: "check the disk",
    }.get(number, "mend that")
    return UnreadableError(
        f"cannot read {path}: {os.strerror(number)}; {what_to_do} and run again; it is left as it is, as nothing says "
        "that it is damaged"
    )


@contextlib.contextmanager
def writing(path: pathlib.Path, said: Callable[[OSError, pathlib.Path], Exception] = refused) -> Iterator[None]:
    """Raise what `said` makes of the operating system's refusal to write."""
    try:
        yield
    except OSError as e:
        raise said(e, path) from e


def wait_for_lock(handle, path: pathlib.Path) -> None:
    """Lock an open file for this process alone; say so if another one works on `path` and has to be waited for."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("another process is working on %s; waiting for it", path)
        fcntl.flock(handle, fcntl.LOCK_EX)


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Hold `<path>.lock` while another process does not; it falls with the process and leaves no file behind."""
    lock = path.with_name(path.name + ".lock")
    while True:
        with writing(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = open(lock, "w")  # noqa: SIM115  closed below
        with handle:
            wait_for_lock(handle, path)
            try:
                ours = os.path.samestat(os.fstat(handle.fileno()), os.stat(lock))
            except FileNotFoundError:
                ours = False
            if not ours:  # its last holder removed the file we waited on: what we hold locks nobody out
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


@contextlib.contextmanager
def whole_file(final: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A path to write to that takes the name and place of `final` when all went well; else nothing is left of it."""
    final = pathlib.Path(final)
    partial = final.with_name(final.name + ".partial")
    try:
        yield partial
        os.replace(partial, final)
    except BaseException:
        with contextlib.suppress(OSError):  # the reason counts, not that nothing could be removed
            partial.unlink()  # on a full disk every byte counts
        raise


def write_bytes(path: pathlib.Path, data) -> None:
    """Write a file of bytes, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_bytes(data)


@contextlib.contextmanager
def whole_folder(final: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder to write into that takes the place of `final` when all went well; else nothing is left of it."""
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = pathlib.Path(tempfile.mkdtemp(prefix=final.name + ".", suffix=".partial", dir=final.parent))
    try:
        new = aside / "new"
        new.mkdir()  # mkdtemp's own folder is closed to everybody else
        yield new
        if final.exists():
            os.replace(final, aside / "old")
        os.replace(new, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
