"""What a published data set consists of: its files, where they are, what comes out of them, and its licence.

One JSON file per data set and version in manifests/. A size or checksum of null was not published, and an `inferred`
address was put together from the data set's README; neither was ever made up.
"""

import importlib.resources
import json
import pathlib
from dataclasses import dataclass, field

from localize.io.text import read_lines
from localize.types import InputError


@dataclass(frozen=True, eq=False)
class RemoteFile:
    """One file of a data set."""

    path: str  # relative to the data set's folder and to each site
    size: int | None = None  # bytes
    sha256: str | None = None
    unpack: str | None = None  # the folder that its contents come into; null: it is no archive
    elsewhere: str | None = None  # where people's own scripts put them
    gives: dict[str, int] = field(default_factory=dict)  # pattern of files in `unpack`: how many at least
    lines: dict[str, int] = field(default_factory=dict)  # list: how many lines at least
    part: str | None = None  # taken only if asked for
    condition: str | None = None  # of its photos
    inferred: bool = False  # the address

    def lacking(self, root: pathlib.Path) -> list[str]:
        """What is not there of that which it gives, one clause each."""
        if self.unpack is None and not (root / self.path).is_file():
            return [f"{self.path} is missing"]
        problems = []
        for pattern, wanted in self.gives.items():
            folders = [root / folder for folder in (self.unpack, self.elsewhere) if folder is not None]
            found = max(sum(1 for p in folder.glob(pattern) if p.is_file()) for folder in folders)
            if found < wanted:
                problems.append(f"{self.unpack}/{pattern} is {found} files, but must be {wanted} or more")
        for name, wanted in self.lines.items():
            found = sum(1 for _ in read_lines(root / name)) if (root / name).is_file() else 0
            if found < wanted:
                problems.append(f"{name} has {found} lines, but must have {wanted} or more")
        return problems


@dataclass(frozen=True)
class Manifest:
    """A data set that can be downloaded."""

    title: str
    dataset: str  # its choice on the command line
    version: str
    licence: str
    terms: str  # where they are written down
    sites: tuple[str, ...]  # addresses that the paths are relative to
    files: tuple[RemoteFile, ...]
    next: str = "+pipeline=parallel_search dataset={dataset} dataset.root={folder} dataset.version={version}"

    def select(self, parts: tuple[str, ...], conditions: tuple[str, ...] | None) -> tuple[RemoteFile, ...]:
        """The files to take; conditions: None takes all. InputError for parts and conditions that there are not."""
        problems = []
        for what, given in (("part", parts), ("condition", conditions or ())):
            valid = self.choices(what)
            for name in sorted(set(given) - set(valid)):
                problems.append(f"{self.title} has no {what} {name}; valid: {', '.join(valid) or 'none'}")
        if problems:
            raise InputError(*problems)
        return tuple(
            f
            for f in self.files
            if (f.part is None or f.part in parts)
            and (f.condition is None or conditions is None or f.condition in conditions)
        )

    def choices(self, what: str) -> list[str]:
        """The parts or the conditions there are."""
        return list(dict.fromkeys(getattr(f, what) for f in self.files if getattr(f, what)))


def manifest_names() -> list[str]:
    """The data sets that can be downloaded."""
    found = (importlib.resources.files("localize.datasets") / "manifests").iterdir()
    return sorted(p.name.removesuffix(".json") for p in found if p.name.endswith(".json"))


def read_manifest(name: str) -> Manifest:
    """The manifest of this name; InputError with the valid ones if there is none."""
    if name not in manifest_names():
        raise InputError(f"{name} cannot be downloaded; what can: {', '.join(manifest_names())}")
    text = (importlib.resources.files("localize.datasets") / "manifests" / f"{name}.json").read_text()
    found = json.loads(text)
    files = tuple(RemoteFile(**f) for f in found.pop("files"))
    base = found.pop("extends", None)
    if base is not None:
        files = read_manifest(base).files + files
    return Manifest(**{**found, "sites": tuple(found["sites"]), "files": files})


def manifest_of(dataset) -> Manifest:
    """The manifest that an adapter names in `manifest`; InputError with what can be downloaded if it names none."""
    name = getattr(dataset, "manifest", None)
    if name is None:
        choices = sorted({read_manifest(n).dataset for n in manifest_names()})
        raise InputError(
            f"{type(dataset).__name__} is no data set that can be downloaded; take "
            + " or ".join(f"dataset={choice}" for choice in choices)
        )
    return read_manifest(name)
