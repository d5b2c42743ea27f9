"""A dictionary in a .npy file, as `numpy.save` writes one, read without unpickling.

Numpy wraps it into an array of one object and pickles that. Beside plain values (`plain_pickle.py`) only the names with
which numpy's own arrays, types and numbers begin are known, and what they stand for is made here from their bytes.
"""

import io
import pathlib
import re

import numpy as np

from localize.io.plain_pickle import plain_value, read_plain_pickle
from localize.io.records import DAMAGED
from localize.types import InputError

_NAMES = re.compile(r"numpy dtype|numpy ndarray|numpy\.(_core|core)\.multiarray (_reconstruct|scalar)")
_TYPES = re.compile(r"[iu][1248]|f[248]|b1")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}


class _Name(str):
    """A name of numpy's."""


class _Unfilled:
    """An array whose values come next."""

    def __repr__(self):  # for who asks for it again after that
        return "values of an array that stands in another place too"


def read_npy_dictionary(path: pathlib.Path) -> dict:
    """The dictionary; InputError if the file is missing, cut off, or holds anything else. Nothing in it is run."""
    found = read_plain_pickle(path, _dictionary)
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no dictionary: is it the right file?")
    return found


def write_npy_dictionary(path: pathlib.Path, values: dict) -> None:
    """Write a dictionary of plain values as numpy does."""
    np.save(path, np.array(values, object), allow_pickle=True)


def _dictionary(data: bytes):
    """The one object of the array."""
    stream = io.BytesIO(data)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
    except DAMAGED as e:
        raise ValueError(f"its header is no array's ({e})") from e
    if shape != () or not dtype.hasobject:
        raise ValueError(f"it is an array {dtype} {shape} and not one object")
    return plain_value(data[stream.tell() :], _of_numpy)


def _of_numpy(name: str, argument, stack: list, marks: list) -> bool:
    """Follow an instruction that numpy's arrays need."""
    if name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _BYTES:
        stack.append(argument)
    elif name in _TUPLES or name == "TUPLE":
        start = marks.pop() if name == "TUPLE" else len(stack) - _TUPLES[name]
        stack[start:] = [tuple(stack[start:])]
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        stack.append(_known(argument if name == "GLOBAL" else " ".join(map(str, (stack.pop(-2), stack.pop())))))
    elif name == "REDUCE":
        arguments, called = stack.pop(), stack.pop()
        stack.append(_made(called, arguments))
    elif name == "BUILD":
        state = stack.pop()
        stack[-1] = _filled(stack[-1], state)
    else:
        return False
    return True


def _known(name: str) -> _Name:
    if not _NAMES.fullmatch(name):
        raise ValueError(f"it asks for {name!r:.60}")
    return _Name(name.rpartition(" ")[2])


def _made(called, arguments):
    """What numpy's functions make of these arguments."""
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise ValueError(f"it calls {called!r:.60}")
    if called == "dtype" and arguments[0] == "O8":
        return np.dtype(object)
    if called == "dtype" and _TYPES.fullmatch(str(arguments[0])):
        return np.dtype(arguments[0])
    if called == "_reconstruct":
        return _Unfilled()
    if called == "scalar" and len(arguments) == 2:
        return _numbers(arguments[1], arguments[0])[0].item()
    raise ValueError(f"it calls {called} with {arguments!r:.60}")


def _filled(made, state):
    """An array with its values, or a type, whose state says nothing but its order of bytes."""
    if not isinstance(state, tuple):
        raise ValueError(f"it fills in {state!r:.60}")
    if isinstance(made, np.dtype) and state[1] in ("<", "|"):
        return made
    if not isinstance(made, _Unfilled) or len(state) != 5:
        raise ValueError(f"it fills in {made!r:.60}")
    _, shape, dtype, fortran, values = state
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"it has an array of shape {shape!r:.60}")
    if isinstance(dtype, np.dtype) and dtype.hasobject:
        if not isinstance(values, list) or len(shape) > 1:
            raise ValueError("it has an array of objects with more than one axis")
        return values if shape else values[0]
    return _numbers(values, dtype).reshape(shape, order="F" if fortran else "C")


def _numbers(data, dtype) -> np.ndarray:
    """(N,) of the bytes."""
    if not isinstance(data, bytes) or not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError(f"it has numbers of type {dtype!r:.60}")
    return np.frombuffer(data, dtype)
