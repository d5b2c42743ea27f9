"""Errors a user can act on, and the checks of the records' arrays."""

import contextlib
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
