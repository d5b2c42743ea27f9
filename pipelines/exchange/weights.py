"""Say which weights are there and which are missing; get those that are asked for, whole and checked or not at all."""

import logging
import os

from localize.evaluate.tables import text_table
from localize.io.fetching.download import addresses
from localize.io.fetching.filecheck import bytes_text, remembered
from localize.pipelines.exchange.download import fetch_with_bar
from localize.types import InputError, collecting
from localize.weights import manifest as published
from localize.weights.manifest import PublishedWeights
from localize.weights.shipped import shipped_names, weights_file

log = logging.getLogger(__name__)


def run(
    *,
    progress: bool = False,
    get: tuple[str, ...] | str = (),
    manifest: str | None = None,
    mirror: str | None = None,
) -> str:
    """What is there, what is missing, and how to get it, in words, after those in `get` came into the weights' folder.

    get: names, or all; manifest: a JSON file of the user's own (see weights/manifest.py); mirror: an address or a
    folder that is tried first. InputError, after all that could be had was fetched, for names that there are not and
    for files that could not be had or are other ones.
    """
    entries = published.read_manifest(manifest)
    names = list(entries) if get == "all" else [get] if isinstance(get, str) else list(get)
    problems = [
        f"there are no weights {name!r} to get; what can be got: {', '.join(entries)}, or all"
        for name in names
        if name not in entries
    ]
    for name in dict.fromkeys(n for n in names if n in entries):
        with collecting(problems):
            _get(entries[name], mirror, progress=progress)
    if problems:
        raise InputError(*problems)
    return _overview(entries)


def _get(entry: PublishedWeights, mirror: str | None, *, progress: bool) -> None:
    """Fetch one file, unless it is there; InputError if it is there and another one."""
    path = entry.path()
    if not path.is_file():
        urls = [*addresses(entry.file, (), mirror), *entry.urls]
        if not urls:
            published.checked(entry)  # says what to do
        log.info("%s into %s; by downloading you accept its licence: %s", entry.name, path.parent, entry.licence)
        log.info("cite: %s", entry.citation)
        fetch_with_bar(urls, path, size=entry.size, sha256=entry.sha256, progress=progress)
    published.checked(entry)


def _overview(entries: dict[str, PublishedWeights]) -> str:
    """The table of all weights, then a paragraph on what is missing or wrong."""
    states = {name: _state(entry) for name, entry in entries.items()}
    header = ["weights", "state", "size", "licence"]
    rows = [_shipped_row(name) for name in shipped_names()] + [
        [name, states[name][0], bytes_text(entry.size), entry.licence] for name, entry in entries.items()
    ]
    missing = [name for name, (state, _) in states.items() if state == "missing"]
    to_get = [name for name in missing if entries[name].urls]
    asked = " ($" + published.FOLDER + ")" if os.environ.get(published.FOLDER, "").strip() else ""
    lines = [text_table(header, rows), "", f"The folder of weights is {published.weights_folder()}{asked}."]
    if not asked:
        lines.append(f"Where there is no network, copy the files into a folder and set {published.FOLDER} to it.")
    if to_get:
        lines.append(f"To get what is missing: {published.GET.format(','.join(to_get))}")
    lines += [f"{name}: put {entries[name].file} there; see below" for name in missing if name not in to_get]
    lines += [f"{name}: {said}" for name, (_, said) in states.items() if said]
    lines += ["", "What they are for, what to cite, and what to know:"]
    lines += [f"{e.name} ({e.used_by}): {e.citation}{'; ' * bool(e.note)}{e.note}" for e in entries.values()]
    return "\n".join(lines)


def _shipped_row(name: str) -> list[str]:
    path = weights_file(name, "")
    return [name, "comes with localize", bytes_text(os.path.getsize(path)), "Apache-2.0"]


def _state(entry: PublishedWeights) -> tuple[str, str]:
    """(in a word or two, what to do about it, empty if nothing)."""
    path = entry.path()
    if not path.is_file():
        return "missing", ""
    if problem := published.wrong_weights(entry, path):
        return "WRONG", f"{path} {problem}; it is refused: delete it and get it again"
    if entry.sha256:
        return "there, checked", ""
    if remembered(path):
        return "there, as first used", "nobody published its checksum: it is what it was when you first used it"
    return "there, unchecked", "nobody published its checksum: that of its first use will be kept beside it"
