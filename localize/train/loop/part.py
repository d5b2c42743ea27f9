"""The parts of a training: components that say which of their settings decide what comes out."""

from dataclasses import MISSING, field, fields

from localize.components import check_component
from localize.types import InputError


def aside(default=MISSING):
    """A part's field whose value decides nothing: how often to save, or where files lie, which `contents` tells of."""
    return field(default=default, metadata={"aside": True})


class TrainingPart:
    """A component of a training: a frozen dataclass, all of whose fields decide the result, but for those `aside`."""

    def contents(self) -> dict[str, str]:
        """What else decides, by the field it belongs to: the digest of the files that a field names, as a rule."""
        return {}


def made_from(parts: dict[str, TrainingPart]) -> dict[str, str]:
    """All that decides a training, by the names that a user gives it after `pipeline.`, such as loss.margin."""
    told = {}
    for role, part in parts.items():
        own = {f.name: getattr(part, f.name) for f in fields(part) if not f.metadata.get("aside")}
        told |= {f"{role}.{name}": str(value) for name, value in (own | part.contents()).items()}
    return told


def check_part(part: TrainingPart, *, names: tuple = (), **rules) -> None:
    """As `check_component`, and lists become tuples.

    names: lists of names or paths, which must not be empty where there is no default.
    """
    check_component(part, **rules)
    for f in fields(part):
        value, setting = getattr(part, f.name), f"{type(part).__name__}.{f.name}"
        if f.type is tuple:
            object.__setattr__(part, f.name, tuple(value))
        if f.name in names and (not all(isinstance(v, str) for v in value) or (not value and f.default is MISSING)):
            raise InputError(f"{setting} is {value!r}, but must be a list of names, as [one] or [one,two]")
