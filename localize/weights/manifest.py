"""Weights that others published: where they are looked for on this machine, and whether a file is what it should be.

manifest.json names them. A size or checksum of null was not published anywhere; none was ever made up. Of
such a file the digest is kept beside it, in <file>.sha256, when it comes or is first used, and another is refused then:
nobody vouches for it, but it is the same for all your results. Nothing here imports torch.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
from dataclasses import dataclass

from localize.io.fetching.filecheck import note_of, remember, remembered
from localize.keys import file_stamp, sha256_of
from localize.types import InputError

MANIFEST = pathlib.Path(__file__).parent / "manifest.json"
FOLDER = "LOCALIZE_WEIGHTS"  # environment variable: the only folder that is looked into
GET = "python -m localize +pipeline=weights pipeline.get=[{}]"


@dataclass(frozen=True)
class PublishedWeights:
    """One file of weights that does not ship with the package."""

    name: str  # what `weights=` is set to
    file: str  # its name in the folder of weights
    urls: tuple[str, ...]  # the authors' first, then mirrors; empty: it is published nowhere
    licence: str
    citation: str
    used_by: str  # such as feature=alike
    size: int | None = None  # bytes
    sha256: str | None = None
    note: str = ""  # what a user should know: who published the checksum, how to place the file

    def __post_init__(self):
        object.__setattr__(self, "urls", tuple(self.urls))
        texts = [getattr(self, name) for name in ("name", "file", "licence", "citation", "used_by", "note")]
        if not all(isinstance(text, str) for text in (*texts, *self.urls)):
            raise TypeError("names, addresses and the like must be text")
        if other := [url for url in self.urls if not url.lower().startswith(("http://", "https://"))]:
            raise ValueError(f"address {other[0]!r} must begin with http:// or https://")
        if not re.fullmatch(r"\w[\w.-]*", self.file):
            raise ValueError(f"file {self.file!r} must be a plain file name")
        if self.size is not None and (type(self.size) is not int or self.size < 1):
            raise ValueError(f"size {self.size!r} must be a number of bytes, or null")
        if self.sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", self.sha256):
            raise ValueError(f"sha256 {self.sha256!r} must be 64 hexadecimal digits, or null")

    def path(self) -> pathlib.Path:
        """Where it lies, or belongs."""
        return weights_folder() / self.file


def weights_folder() -> pathlib.Path:
    """$LOCALIZE_WEIGHTS if it is set, else localize/weights in the user's cache."""
    if given := os.environ.get(FOLDER, "").strip():
        return pathlib.Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (pathlib.Path(cache) if os.path.isabs(cache) else pathlib.Path.home() / ".cache") / "localize" / "weights"


def read_manifest(path: str | os.PathLike | None = None) -> dict[str, PublishedWeights]:
    """The weights by name, of the package's manifest or another one.

    InputError if the file cannot be read, is no manifest, or has a name or file twice.
    """
    path = path or MANIFEST
    try:
        found = [PublishedWeights(**entry) for entry in json.loads(pathlib.Path(path).read_text())["weights"]]
    except OSError as e:
        raise InputError(f"manifest {path} cannot be read ({e.strerror or e})") from e
    except (ValueError, TypeError, KeyError) as e:
        names = ", ".join(f.name for f in dataclasses.fields(PublishedWeights))
        raise InputError(
            f'{path} is no manifest of weights ({e}): it must be JSON, {{"weights": [{{...}}, ...]}}, of: {names}'
        ) from e
    for what in ("name", "file"):
        values = [getattr(entry, what) for entry in found]
        if twice := sorted({v for v in values if values.count(v) > 1}):
            raise InputError(f"manifest {path} has the {what} {', '.join(twice)} twice: rename one")
    return {entry.name: entry for entry in found}


def checked(entry: PublishedWeights) -> str:
    """Path of the file, right in size and SHA-256; InputError if it is missing, cut off or another one."""
    path = entry.path()
    if not path.is_file():
        get = f"get it with: {GET.format(entry.name)}, or " if entry.urls else ""
        hint = f" ({entry.note})" if entry.note and not entry.urls else ""
        raise InputError(
            f"weights {entry.name} are missing: there is no {path}; {get}put the file there{hint}, or set {FOLDER} to "
            "a folder that holds it"
        )
    return _checked(entry, str(path), file_stamp(path))


@functools.lru_cache(maxsize=32)  # once per process; a replaced file has another stamp
def _checked(entry: PublishedWeights, path: str, stamp: tuple | None) -> str:
    if problem := wrong_weights(entry, pathlib.Path(path)):
        again = f"get it again with: {GET.format(entry.name)}" if entry.urls else "put the right one there"
        raise InputError(f"weights {entry.name}: {path} {problem}; delete it and {again}")
    if entry.sha256 is None:
        remember(pathlib.Path(path), f"the weights {entry.name}")
    return path


def wrong_weights(entry: PublishedWeights, path: pathlib.Path) -> str | None:
    """What is wrong with a file that is there, as the rest of a sentence; None if nothing is known to be."""
    wanted = entry.sha256 or remembered(path)
    try:
        size = path.stat().st_size
        if entry.size is not None and size != entry.size:
            cut = "is cut off: it " if size < entry.size else "is another file: it "
            return f"{cut}has {size} bytes, but must have {entry.size}"
        if not size:
            return "is empty"
        digest = wanted and sha256_of(path)
    except OSError as e:
        return f"cannot be read ({e.strerror or e})"
    if wanted is None or digest == wanted.lower():
        return None
    if entry.sha256:
        return f"is another file: it has the SHA-256 {digest}, but must have {wanted.lower()}"
    return (
        f"has changed: its SHA-256 is {digest}, but was {wanted} when it was first used (if you replaced it yourself, "
        f"delete {note_of(path).name} beside it)"
    )
