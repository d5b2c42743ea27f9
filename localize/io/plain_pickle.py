"""Pickles of plain values, read without unpickling: what a pickle may ask for, such as running code, is never done.

A pickle is a program for a stack machine. Only the instructions that Python writes for dictionaries, lists, text and
numbers are followed here (protocols 2 to 5); the first other one ends the reading, and nothing of it was carried out.
"""

import math
import pathlib
import pickletools
from collections.abc import Callable

from localize.types import InputError, check_regular

_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_KEEPS, _GIVES = {"BINPUT", "LONG_BINPUT", "MEMOIZE"}, {"BINGET", "LONG_BINGET"}
_APPENDS = {"APPEND": 1, "APPENDS": None, "SETITEM": 2, "SETITEMS": None}  # values; None: all since the last mark
_PASSED = {"PROTO", "FRAME"}
MOST_BYTES = 64 << 20  # of a file: what is made of it takes some ten times as much


def read_plain_pickle(path: pathlib.Path, parse: Callable | None = None) -> dict | list | str | int | float:
    """The value in the file. InputError if it is missing, cut off, or holds more than plain values.

    parse: makes the value of the file's bytes, None: they are the pickle; what it raises of a file that is none is
    ValueError or LookupError.
    """
    check_regular(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES >> 20} MB, too many for a list of names: get it again")
        return (parse or plain_value)(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as e:
        raise InputError(f"file {path} is missing") from e
    except InputError:
        raise
    except (ValueError, LookupError) as e:
        why = "it takes what is not there" if isinstance(e, LookupError) else e
        raise InputError(
            f"{path} is no whole pickle of plain dictionaries, lists, text and numbers ({why}): nothing in it was run; "
            "get the file again"
        ) from e


def plain_value(data: bytes, others: Callable | None = None):
    """What the pickle leaves on its stack; ValueError or LookupError if it is not plain or not whole.

    others(instruction, argument, stack, marks): follows a further instruction, or says False.
    """
    stack, marks, kept = [], [], {}
    for instruction, argument, at in pickletools.genops(data):
        name = instruction.name
        if name in _VALUES:
            if isinstance(argument, float) and not math.isfinite(argument):
                raise ValueError(f"{argument} at byte {at}")
            stack.append(argument)
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            marks.append(len(stack))
        elif name in _APPENDS:
            start = marks.pop() if _APPENDS[name] is None else len(stack) - _APPENDS[name]
            values = stack[start:]
            del stack[start:]
            _append(stack[-1], values, name, at)
        elif name in _KEEPS:
            kept[len(kept) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in _GIVES:
            if _holds_more(kept[argument]):  # a list in itself, or in a thousand places
                raise ValueError(f"the list at byte {at} stands in another place too")
            stack.append(kept[argument])
        elif name == "STOP":
            if len(stack) != 1 or marks or at + 1 != len(data):
                raise ValueError(f"it ends at byte {at}, but not its value or the file")
        elif name not in _PASSED and not (others and others(name, argument, stack, marks)):
            raise ValueError(f"it asks for {name}{'' if argument is None else f' {argument!r:.60}'} at byte {at}")
    return stack[0]


def _holds_more(value) -> bool:
    """Whether it is a list or the like, other than a tuple of plain values."""
    containers = dict | list | tuple
    return isinstance(value, dict | list) or (
        isinstance(value, tuple) and any(isinstance(v, containers) for v in value)
    )


def _append(to: dict | list, values: list, name: str, at: int) -> None:
    """Put the values into a list, or keys and values into a dictionary."""
    if isinstance(to, list) and name.startswith("APPEND"):
        to += values
    elif isinstance(to, dict) and name.startswith("SETITEM") and all(isinstance(k, str) for k in values[::2]):
        to.update(zip(values[::2], values[1::2], strict=True))
    else:
        raise ValueError(f"{name} at byte {at} on a {type(to).__name__}, or with keys that are no text")
