"""Fetch a published data set, verify it, unpack it, and say what to type next. A second run fetches nothing."""

import json
import logging
import os
import pathlib
import shlex
import shutil
from dataclasses import dataclass

from localize.datasets.shared.manifest import Manifest, RemoteFile, manifest_of
from localize.io.fetching.download import MIRROR, FetchError, addresses, fetch, remote_size
from localize.io.fetching.filecheck import bytes_text, wrong_file
from localize.io.fetching.unpack import unpack, unpacked
from localize.io.files import writing
from localize.io.text import write_text
from localize.progress import work
from localize.types import InputError

log = logging.getLogger(__name__)
DOUBT = " (its address is put together from the data set's README and may be wrong)"
SHOWN = 5  # names in a sentence


@dataclass(frozen=True)
class Downloaded:
    """What a download came to."""

    folder: str
    fetched: tuple[str, ...]  # paths relative to the folder
    kept: tuple[str, ...]  # were there before


def run(
    dataset,
    *,
    output: str | None = None,
    progress: bool = False,
    parts: tuple[str, ...] = (),
    conditions: tuple[str, ...] | None = None,
    keep_archives: bool = True,
) -> Downloaded:
    """Bring the data set of an adapter (with `manifest` and `folder`) into its folder.

    parts: what is left out unless asked for; conditions: those of the query photos, None takes all. One file comes at
    a time: the hosts are universities. With `output`, download.json is written there.
    InputError, after all that could be had was fetched, with a sentence for everything that is missing.
    """
    manifest = manifest_of(dataset)
    folder = pathlib.Path(getattr(dataset, "folder", None) or dataset.root).expanduser().absolute()
    files = manifest.select(tuple(parts), None if conditions is None else tuple(conditions))
    kept = [f for f in files if _is_there(f, folder)]
    wanted = [f for f in files if f not in kept]
    _show_plan(manifest, folder, files, kept)
    _check_space(folder, [f for f in wanted if not (folder / f.path).exists()], manifest)
    fetched, failed, untried = _get_all(wanted, folder, manifest.sites, progress=progress, keep=keep_archives)
    gone = set(failed) | set(untried)
    lacking = [f"{f.path}: {clause}" for f in files if f not in gone for clause in f.lacking(folder)]
    problems = [sentence for sentences in failed.values() for sentence in sentences] + lacking
    if untried:
        more = f" and {len(untried) - SHOWN} more" if len(untried) > SHOWN else ""
        names = ", ".join(f.path for f in untried[:SHOWN]) + more
        problems.append(f"not fetched either, because no server answers: {names}; their places are under {folder}")
    done = Downloaded(str(folder), tuple(f.path for f in fetched), tuple(f.path for f in kept))
    _write_report(output, manifest, done, problems)
    log.info("%s: %d files fetched, %d were there, in %s", manifest.title, len(fetched), len(kept), folder)
    if problems:
        raise InputError(*problems)
    log.info("next: %s", _next_command(manifest, folder))
    return done


def _is_there(file: RemoteFile, folder: pathlib.Path) -> bool:
    """Whether nothing is to be done: fetched and unpacked by us, or put there by hand."""
    path = folder / file.path
    if file.unpack is None:
        return path.is_file() and wrong_file(path, path.name, file.size, file.sha256) is None
    if unpacked(path, folder / file.unpack) is not None:
        return True
    by_hand = bool(file.gives) and not path.exists()
    return by_hand and not file.lacking(folder)


def _get_all(wanted: list[RemoteFile], folder: pathlib.Path, sites, **how) -> tuple[list, dict, list]:
    """(fetched, sentences by file that could not be, files that no server was asked for because none answers)."""
    fetched, failed, untried = [], {}, []
    for number, file in enumerate(wanted, 1):
        log.info("%d of %d: %s", number, len(wanted), file.path)
        try:
            _get(file, folder, sites, **how)
            fetched.append(file)
        except FetchError as e:
            if sites:
                failed[file] = [p + DOUBT * file.inferred for p in e.problems]
            else:
                untried.append(file)
            if e.unreachable:
                sites = ()  # what is left is looked for in the user's mirror only
        except InputError as e:
            failed[file] = e.problems
    return fetched, failed, untried


def _get(file: RemoteFile, folder: pathlib.Path, sites, *, progress: bool, keep: bool) -> None:
    """Fetch one file and unpack it."""
    target = folder / file.path
    fetch_with_bar(addresses(file.path, sites), target, size=file.size, sha256=file.sha256, progress=progress)
    if file.unpack is not None:
        log.info("unpacking %s", target.name)
        unpack(target, folder / file.unpack, keep=keep)


def fetch_with_bar(urls, target: pathlib.Path, *, size: int | None, sha256: str | None, progress: bool) -> None:
    """`fetch`, with its progress."""
    with work(target.name, unit="B", shown=progress) as bar:

        def show(there: int, total: int | None) -> None:
            if bar.total is None:
                bar.count(total, there)
            bar.done = there

        fetch(urls, target, size=size, sha256=sha256, progress=show)


def _show_plan(manifest: Manifest, folder: pathlib.Path, files, kept) -> None:
    log.info("%s into %s", manifest.title, folder)
    log.info("By downloading you accept its licence: %s; see %s", manifest.licence, manifest.terms)
    for file in files:
        state = "is there" if file in kept else bytes_text(file.size)
        log.info("  %s  %s  %s", file.path, state, addresses(file.path, manifest.sites)[-1])
    for part in manifest.choices("part"):
        left = [f.path for f in manifest.files if f.part == part and f not in files]
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            log.info("  left out: %s%s; to have it, add pipeline.parts=[%s]", left[0], more, part)


def _check_space(folder: pathlib.Path, wanted: list[RemoteFile], manifest: Manifest) -> None:
    """Say how much is to come, as far as the servers tell; InputError if the disk cannot hold it."""
    sizes = []
    for file in wanted:
        size = file.size or remote_size(addresses(file.path, manifest.sites))
        if size is None:
            return  # nobody tells, or nobody answers: each file is checked when it comes
        sizes.append(size)
    if not sizes:
        return
    there = folder
    while not there.exists():
        there = there.parent
    free, needed = shutil.disk_usage(there).free, sum(sizes)
    packed = any(f.unpack for f in wanted)
    log.info(
        "%s to fetch%s; the disk has %s free", bytes_text(needed), ", and room to unpack" * packed, bytes_text(free)
    )
    if needed > free:
        raise InputError(
            f"{manifest.title} needs {bytes_text(needed)}, but the disk of {folder} has {bytes_text(free)} free: free "
            "some space, choose another folder with dataset.root=..., or take fewer conditions with pipeline.conditions"
        )


def _next_command(manifest: Manifest, folder: pathlib.Path) -> str:
    names = {"dataset": manifest.dataset, "folder": shlex.quote(str(folder)), "version": manifest.version}
    return f"python -m localize {manifest.next.format(**names)}"


def _write_report(output: str | None, manifest: Manifest, done: Downloaded, problems: list[str]) -> None:
    if output is None:
        return
    path = pathlib.Path(output) / "download.json"
    found = {
        "title": manifest.title,
        "licence": manifest.licence,
        "terms": manifest.terms,
        "mirror": os.environ.get(MIRROR),
        "folder": done.folder,
        "fetched": done.fetched,
        "kept": done.kept,
        "problems": problems,
    }
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(found, indent=1) + "\n")
