"""Errors a user can act on, and the checks of the records' arrays."""

import contextlib
import os
import stat
from collections.abc import Iterator

import numpy as np


class InputError(ValueError):
    """What the user gave cannot be used; one sentence per problem says what, where and what to do."""

    def __init__(self, *problems: str):
        self.problems = problems
        super().__init__("\n".join(problems))


@contextlib.contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Add the problems of an InputError to the list and go on."""
    try:
        yield
    except InputError as e:
        problems += e.problems


class StoreError(RuntimeError):
    """Stored results cannot be read or written; the sentence says where and what to do."""


class UnreadableError(StoreError):
    """Stored results are there, but the system refuses to read them: nothing says that they are damaged."""


def check_regular(path: str | os.PathLike) -> None:
    """InputError for what is there and no file: a pipe or a device would be read for ever. A missing one passes."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # what opens it says why
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise InputError(f"{path} is {kind} and no regular file: put the file itself there")


def check_range(owner, name: str, low: int, stop: int) -> None:
    """Refuse a field of whole numbers that are not all from `low` to below `stop`."""
    values = getattr(owner, name)
    if values.size and (values.min() < low or values.max() >= stop):
        raise ValueError(f"{type(owner).__name__}.{name} must lie between {low} and {stop - 1}")


def check_indptr(owner, name: str, total: int) -> None:
    """Refuse a field that does not rise from 0 to the number of rows that it cuts into parts."""
    values = getattr(owner, name)
    if not len(values) or values[0] != 0 or values[-1] != total or (values[1:] < values[:-1]).any():
        raise ValueError(f"{type(owner).__name__}.{name} must rise from 0 to {total}")


def check_array(owner, name: str, dtype, shape: tuple) -> np.ndarray:
    """Store a field as an array of this dtype and shape; None in the shape stands for any length."""
    value = np.asarray(getattr(owner, name))
    value = value if dtype is None else value.astype(dtype, copy=False)
    if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape, strict=False)):
        wanted = "(" + ", ".join("N" if n is None else str(n) for n in shape) + ")"
        raise ValueError(f"{type(owner).__name__}.{name} has shape {value.shape}, but expected {wanted}")
    object.__setattr__(owner, name, value)
    return value


def check_finite(owner, *names: str) -> None:
    """Refuse fields that hold NaN or infinite values."""
    for name in names:
        if not np.isfinite(getattr(owner, name)).all():
            raise ValueError(f"{type(owner).__name__}.{name} holds NaN or infinite values")
