"""What components, the frozen dataclasses whose fields are hyperparameters, need to declare and check themselves."""

import typing
from dataclasses import field, fields

from localize.types import InputError


def query_field(default):
    """A component's field that is read only when the component is asked, not when it builds.

    Changing it rebuilds nothing: the store leaves it out of the key of what was built.
    """
    return field(default=default, metadata={"query": True})


def check_component(component, *, positive=(), not_negative=(), shares=(), choices=None) -> None:
    """Refuse hyperparameters of the wrong type or range; whole numbers given for float fields become floats.

    positive, not_negative: names of fields > 0 and >= 0 (a `seed` always is); shares: between 0 and 1, both excluded;
    choices: the allowed values by field.
    """
    name = type(component).__name__
    for f in fields(component):
        value = getattr(component, f.name)
        options = [t for t in typing.get_args(f.type) if t is not type(None)] or [f.type]  # X of `X | None`
        wanted = {bool: bool, int: int, float: (int, float), str: str, tuple: (tuple, list)}.get(options[0])
        if value is None and type(None) in typing.get_args(f.type):
            continue
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and options[0] is not bool)):
            kind = "list" if options[0] is tuple else options[0].__name__
            raise InputError(f"{name}.{f.name} is {value!r}, but must be a value of type {kind}")
        if f.type is float:  # 12 and 12.0 are one setting and must have one key
            object.__setattr__(component, f.name, float(value))
        if f.name in positive and not value > 0:
            raise InputError(f"{name}.{f.name} is {value!r}, but must be greater than 0")
        if (f.name in not_negative or f.name == "seed") and not value >= 0:
            raise InputError(f"{name}.{f.name} is {value!r}, but must not be negative")
        if f.name in shares and not 0 < value < 1:
            raise InputError(f"{name}.{f.name} is {value!r}, but must lie between 0 and 1")
    for key, allowed in (choices or {}).items():
        if getattr(component, key) not in allowed:
            valid = ", ".join(map(str, allowed))
            raise InputError(f"{name}.{key} is {getattr(component, key)!r}, but must be one of: {valid}")


def problems_of(load) -> list[str]:
    """What is missing, one sentence each, if `load()` cannot: what a component's `preflight` returns."""
    try:
        load()
    except InputError as e:
        return list(e.problems)
    return []
