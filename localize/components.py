"""What components, the frozen dataclasses whose fields are hyperparameters, declare, and the one door to each of it.

A role's own protocol (`<role>/base.py`) says what a component does. What any component may declare besides stands here,
each with the one function that asks for it: the files it comes from (`files_of`), what it lacks (`missing`), whether it
fits a scene (`unfit`), and the thresholds that a feature brings for those after it (`suited`).
"""

import dataclasses
import math
import typing
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

from localize.types import InputError


def query_field(default):
    """A component's field that is read only when the component is asked, not when it builds.

    Changing it rebuilds nothing: the store leaves it out of the key of what was built.
    """
    return field(default=default, metadata={"query": True})


LARGEST = 10**9  # of a number whose component says nothing else: what is computed from it still fits where it must
OF_NAME = {  # the same by the last word of a field's name: its unit, or what there cannot be more of in memory
    **{"seed": 2**31 - 1, "deg": 360, "px": 10**6, "iterations": 10**7},
    **{"bits": 2**16, "codes": 2**16, "words": 2**20, "table": 64},
    **dict.fromkeys(("trees", "links", "tables", "rounds", "hypotheses"), 1000),
}


def check_component(component, *, positive=(), shares=(), choices=None, ranges=None) -> None:
    """Refuse hyperparameters of the wrong type or range; whole numbers given for float fields become floats.

    Every number must be finite, from 0 to `LARGEST` or what its unit allows, unless it is declared: by the class in
    RANGES, (least, most) by field, both included, or here. positive: names of fields > 0; shares: between 0 and 1, both
    excluded; choices: the allowed values by field; ranges: more of RANGES. Numbers in lists may be negative.
    """
    name, ranges = type(component).__name__, getattr(component, "RANGES", {}) | (ranges or {})
    for f in fields(component):
        value, setting = getattr(component, f.name), f"{name}.{f.name}"
        least, most = ranges.get(f.name, (0, math.inf))
        check_value(setting, value, f.type, least=least, most=most, zero=f.name not in positive)
        if f.name in shares and not 0 < value < 1:
            raise InputError(f"{setting} is {value!r}, but must lie between 0 and 1")
        if f.type is float:  # 12 and 12.0 are one setting and must have one key
            object.__setattr__(component, f.name, float(value))
    for key, allowed in (choices or {}).items():
        if getattr(component, key) not in allowed:
            valid = ", ".join(map(str, allowed))
            raise InputError(f"{name}.{key} is {getattr(component, key)!r}, but must be one of: {valid}")


def check_value(setting: str, value, kind, *, least=0, most=math.inf, zero=True) -> None:
    """InputError for a value that is of another type than the annotation `kind`, or a number out of range.

    setting: what a user calls it, `Class.field` or `pipeline.field`; zero: whether a number may be 0.
    """
    options = [t for t in typing.get_args(kind) if t is not type(None)] or [kind]  # X of `X | None`
    wanted = {bool: bool, int: int, float: (int, float), str: str, tuple: (tuple, list)}.get(options[0])
    if value is None and type(None) in typing.get_args(kind):
        return
    if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and options[0] is not bool)):
        of_type = "list" if options[0] is tuple else options[0].__name__
        raise InputError(f"{setting} is {value!r}, but must be a value of type {of_type}")
    if options[0] in (int, float):
        _check_number(
            setting, value, least, min(most, OF_NAME.get(setting.replace(".", "_").rpartition("_")[2], LARGEST)), zero
        )
    elif isinstance(value, tuple | list):
        _check_numbers_in(setting, value)


def _check_number(setting: str, value: float, least: float, most: float, zero: bool = True) -> None:
    if least <= value <= most and (zero or value):
        return
    if isinstance(value, float) and not math.isfinite(value):
        wanted = "be a finite number"
    elif not zero and value <= 0:
        wanted = "be greater than 0"
    elif value < 0 == least:
        wanted = "not be negative"
    else:
        both = f"from {least} to {most}" if zero else f"greater than 0 and at most {most}"
        wanted = f"be at least {least}" if value < least and most >= LARGEST else f"be {both}"
    raise InputError(f"{setting} is {value!r}, but must {wanted}")


def _check_numbers_in(setting: str, values) -> None:
    for value in values:
        if isinstance(value, tuple | list):
            _check_numbers_in(setting, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(setting, value, -LARGEST, LARGEST)


def problems_of(load) -> list[str]:
    """What is missing, one sentence each, if `load()` cannot: what a component's `preflight` returns."""
    try:
        load()
    except InputError as e:
        return list(e.problems)
    return []


@runtime_checkable
class FromFiles(Protocol):
    """A component whose output hangs on the content of files, such as weights."""

    def files(self) -> list[str]:
        """Their paths: the content is part of the key of results. InputError if they are missing."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A component that may lack something, such as a file or a library."""

    def preflight(self) -> list[str]:
        """What is missing, one sentence each."""
        ...


@runtime_checkable
class FitsScene(Protocol):
    """A component that suits some scenes only."""

    def check_scene(self, scene) -> list[str]:
        """What of it does not fit this scene, one sentence each."""
        ...


@runtime_checkable
class SuitedToFeature(Protocol):
    """A component with thresholds that hang on the local feature.

    SUITED names the fields that are None unless the user sets them, and the field of `Thresholds` each is taken from.
    """

    SUITED: dict[str, str]


@runtime_checkable
class Seeded(Protocol):
    """A component with random numbers in it."""

    seed: int


@dataclass(frozen=True)
class Thresholds:
    """What suits the descriptors of most local features; a feature that needs others says so in `thresholds`."""

    pair_ratio: float = 0.8  # of the ratio test between two photos
    sign_bits: bool = False  # whether the signs of its descriptors are bits made to be compared by Hamming distance
    point_ratio: float = 0.9  # of the ratio test between 3D points
    min_inliers: int = 12  # that a pose must rest on
    calibration: str | None = None  # the shipped one of the confidence that knows the feature; None: the usual one
    keypoint_px: float = 0.0  # what its keypoints are exact to, where that is coarser than a photo's pixels


@runtime_checkable
class BringsThresholds(Protocol):
    """A local feature with thresholds of its own."""

    thresholds: Thresholds


USUAL = Thresholds()


def files_of(component) -> list[str]:
    """The files whose content decides what the component makes; InputError if they are missing."""
    return list(component.files()) if comes_from_files(type(component)) else []


def comes_from_files(cls: type) -> bool:
    """Whether components of the class are FromFiles; asked of every record that a key speaks of, so quickly."""
    return callable(getattr(cls, "files", None))


def missing(component) -> list[str]:
    """What the component lacks, one sentence each."""
    return component.preflight() if isinstance(component, Checked) else []


def unfit(component, scene) -> list[str]:
    """What of the component does not fit the scene, one sentence each."""
    return component.check_scene(scene) if isinstance(component, FitsScene) else []


def suited(component, feature):
    """The component with the thresholds of this feature in the fields that nobody set."""
    if not isinstance(component, SuitedToFeature):
        return component
    brought = feature.thresholds if isinstance(feature, BringsThresholds) else USUAL
    unset = {name: of for name, of in component.SUITED.items() if getattr(component, name) is None}
    return dataclasses.replace(component, **{name: getattr(brought, of) for name, of in unset.items()})


def asked_by(protocol: type) -> list[str]:
    """The attributes that the protocol asks for, but for VERSION."""
    return [n for n in {**protocol.__annotations__, **vars(protocol)} if n != "VERSION" and not n.startswith("_")]
