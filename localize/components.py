"""What components, the frozen dataclasses whose fields are hyperparameters, declare, and the one door to each of it.

A role's own protocol (`<role>/base.py`) says what a component does. What any component may declare besides stands here,
each with the one function that asks for it: the files it comes from (`files_of`), what it lacks (`missing`), whether it
fits a scene (`unfit`), and the thresholds that a feature brings for those after it (`suited`).
"""

import dataclasses
import typing
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

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
