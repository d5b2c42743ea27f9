"""A map's folder: what is written for `Localizer`, and read again with nothing in it believed.

`localizer.json` names the components, and says for each part which record.json it must have and for the vectors what
the file must hold, so that a part of another map, however sound, is not taken for this one's.
"""

import functools
import json
import pathlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from localize.io.files import refused_reading
from localize.io.records import (
    DAMAGED,
    SMALL,
    load_array,
    load_record,
    note_of,
    record_from_json,
    record_to_json,
    save_array,
    save_record,
    text_checksum,
)
from localize.keys import describe
from localize.roles import BUILT_INTO_MAPS, unfit_for_role
from localize.types import InputError, StoreError
from localize.types.checks import check_array, check_range

FORMAT = 4  # of the folder; raise it when old folders can no longer be read
HEAD, VECTORS = "localizer.json", "vectors.npy"
SOURCES = "sources"  # which maps of before have not: they answer queries, but cannot grow
PARTS = {"rows", "learned", "references", "index", "ranking", "rerankers", SOURCES, VECTORS, HEAD}


@dataclass(frozen=True, eq=False)
class MapSources:
    """Where the photos of a map's R references lie, and what made the map, so that it can grow. Texts and numbers only.

    A reference's photo is folders[folder[i]]/files[i].
    """

    names: tuple[str, ...]  # of the references
    folders: tuple[str, ...]  # absolute
    folder: np.ndarray  # (R,) int32 into folders
    files: tuple[str, ...]
    digests: tuple[str, ...]  # of the photos' bytes
    masks: tuple[str, ...]  # path of each one's mask; empty: none
    mask_digests: tuple[str, ...]
    unit: str  # of all lengths
    made_by: str  # the components that only make maps, by role, as JSON

    def __post_init__(self):
        for name in ("names", "folders", "files", "digests", "masks", "mask_digests"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_array(self, "folder", np.int32, (len(self.names),))
        check_range(self, "folder", 0, len(self.folders))
        if {len(getattr(self, name)) for name in ("files", "digests", "masks", "mask_digests")} != {len(self.names)}:
            raise ValueError(f"MapSources has {len(self.names)} names, but not one of all else for each")

    def components(self, trusted: Collection[str]) -> dict[str, object]:
        """The components that only make maps, by role; InputError if one is not there any more."""
        try:
            return {role: record_from_json(c, trusted=trusted) for role, c in json.loads(self.made_by).items()}
        except (StoreError, *DAMAGED) as e:
            raise InputError(f"the map was made by other components, {e}: build it again") from e


def components_as_text(components: Mapping[str, object]) -> str:
    """Components by role, as `MapSources.made_by` has them."""
    return json.dumps({role: record_to_json(c) for role, c in components.items()})


def write_map(folder: pathlib.Path, components: dict, records: dict, vectors: np.ndarray) -> None:
    """Write components by role, records by part, and the references' global descriptors (R, D) into a folder."""
    for name, record in records.items():
        save_record(folder / name, record)
    save_array(folder / VECTORS, vectors)
    text = {
        "components": {role: record_to_json(c) for role, c in components.items()},
        "made_by": {role: describe(c) for role, c in components.items()},
        "parts": {name: text_checksum((folder / name / "record.json").read_bytes()) for name in records},
        "vectors": note_of(vectors),
    }
    head = {"format": FORMAT, "crc32": text_checksum(json.dumps(text))}
    (folder / HEAD).write_text(json.dumps(head | text, indent=1))


@dataclass(frozen=True)
class SavedMap:
    """A map's folder. verify: compare the checksums of large parts too; trusted: the caller's own modules."""

    folder: pathlib.Path
    verify: bool
    trusted: Collection[str]

    @functools.cached_property
    def _head(self) -> dict:
        """What localizer.json says."""
        head = self.folder / HEAD
        if not head.is_file():
            raise InputError(f"{self.folder} holds no map: build one with localize.build_map or +pipeline=build_map")
        try:
            text = json.loads(head.read_text())
            if text["format"] != FORMAT:
                raise InputError(f"the map {self.folder} was written by another version of localize: build it again")
            checked = json.dumps({k: v for k, v in text.items() if k not in ("format", "crc32")})
            if text["crc32"] != text_checksum(checked):
                raise ValueError("its checksum is wrong")
            return text
        except InputError:
            raise
        except OSError as e:
            raise refused_reading(e, head) or StoreError(f"{head} cannot be read ({e})") from e
        except DAMAGED as e:
            raise StoreError(f"{head} is damaged or of another program ({e}): build the map again") from e

    def components(self) -> dict[str, object]:
        """The components by role; InputError unless they fit their roles and are those of today."""
        text, folder = self._head, self.folder
        try:
            components = {role: record_from_json(c, trusted=self.trusted) for role, c in text["components"].items()}
            unfit = [sentence for role, component in components.items() for sentence in unfit_for_role(role, component)]
            if unfit:
                raise StoreError("; ".join(unfit))
            made_by = {role: text["made_by"][role] for role in components}
        except (StoreError, *DAMAGED) as e:
            own = "pass your own as Localizer.load(..., classes=[...]), or " if "no class of localize" in str(e) else ""
            raise InputError(f"the map {folder} was built with other components, {e}: {own}build it again") from e
        for role, component in components.items():
            if role in BUILT_INTO_MAPS and describe(component) != made_by[role]:
                kind = type(component).__name__
                raise InputError(
                    f"the map {folder} was built with another version of {kind}, its libraries or files: build it again"
                )
        return components

    @property
    def sources(self) -> MapSources | None:
        """Where the references' photos lie; None of a map that was written before maps knew."""
        return self.part(SOURCES) if SOURCES in self._head["parts"] else None

    def part(self, name: str):
        """The record of a part; StoreError if it is damaged, or of another map than the rest."""
        record = load_record(self.folder / name, verify=self.verify, trusted=self.trusted)
        if self._head["parts"].get(name) != text_checksum((self.folder / name / "record.json").read_bytes()):
            raise StoreError(f"{self.folder / name} is of another map than the rest of {self.folder}: build it again")
        return record

    def vectors(self) -> np.ndarray:
        """The references' global descriptors (R, D), memory-mapped; ValueError if they are damaged."""
        path, note = self.folder / VECTORS, self._head["vectors"]
        try:
            return load_array(path, note, verify=self.verify or path.stat().st_size <= SMALL)
        except OSError as e:
            raise refused_reading(e, path) or StoreError(f"{path} is missing: build the map again") from e
