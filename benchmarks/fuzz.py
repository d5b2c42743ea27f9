"""Harm files of every kind that users hand in, and count what comes of it: a sentence, the right result, or worse.

    python benchmarks/fuzz.py [--mutations 1000] [--seed 0] [--seconds 60] [--gigabytes 8] [--folder FOLDER]

Each kind (fuzz_scenes.py, fuzz_networks.py, fuzz_saved.py) writes one whole file and reads it as the program does. A
file is harmed in one of eight ways and read again, in a child process that may take so many seconds a file and so much
memory. What comes of it:

* sentence: InputError or StoreError, which say what, where and what to do;
* same: the right result, as what was harmed does not matter, or was computed again;
* other: another result, without a word. `seen` counts those that could have been seen: of a format with checksums, or
  with numbers in them that are not finite or beyond all measure;
* traceback, crash, hang: what must not happen.

Every mutation follows from the seed, so a case can be run again alone: --only KIND:NUMBER.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import resource
import tempfile
import time
import traceback
import zlib

import numpy as np
from fuzz_kind import Kind
from fuzz_networks import FEATURES_AND_WEIGHTS
from fuzz_saved import SAVED
from fuzz_scenes import SCENES

from localize.types import InputError, StoreError

KINDS = (*SCENES, *FEATURES_AND_WEIGHTS, *SAVED)
BEYOND = 1e15  # no number of a right file is larger
OUTCOMES = ("sentence", "same", "other", "seen", "traceback", "crash", "hang")
NUMBERS = (b"nan", b"inf", b"-1", b"0", b"1e308", b"99999999999999999999", b"", b"x")


def flip(data: bytearray, rng) -> bytes:
    """One bit."""
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(data)


def flip_header(data: bytearray, rng) -> bytes:
    """A byte among the first."""
    data[rng.integers(min(len(data), 200))] = rng.integers(256)
    return bytes(data)


def cut(data: bytearray, rng) -> bytes:
    """The end is lost."""
    return bytes(data[: rng.integers(len(data))])


def zeros(data: bytearray, rng) -> bytes:
    """A block that the disk lost."""
    at, size = rng.integers(len(data)), rng.integers(1, 600)
    data[at : at + size] = bytes(len(data[at : at + size]))
    return bytes(data)


def large_number(data: bytearray, rng) -> bytes:
    """Eight bytes that say a lot, where a length may stand."""
    at = rng.integers(max(1, len(data) - 8))
    data[at : at + 8] = (2 ** int(rng.integers(31, 64)) - 1).to_bytes(8, "little")
    return bytes(data)


def moved(data: bytearray, rng) -> bytes:
    """A part is there twice, or not at all."""
    a, b = sorted(rng.integers(len(data), size=2))
    return bytes(data[:b] + data[a:]) if rng.integers(2) else bytes(data[:a] + data[b:])


def word(data: bytearray, rng) -> bytes:
    """Another word in a text."""
    words = bytes(data).split(b" ")
    words[rng.integers(len(words))] = NUMBERS[rng.integers(len(NUMBERS))]
    return b" ".join(words)


def line(data: bytearray, rng) -> bytes:
    """A line of a text is lost, there twice, or in another place."""
    lines = bytes(data).splitlines(keepends=True)
    at = rng.integers(len(lines))
    taken = lines.pop(at)
    for _ in range(rng.integers(3)):
        lines.insert(rng.integers(len(lines) + 1), taken)
    return b"".join(lines)


HARMS = (flip, flip_header, cut, zeros, large_number, moved, word, line)


def harmed(kind: Kind, whole: bytes, seed: int, number: int) -> tuple[bytes, str]:
    """Mutation `number` of a file, and its name."""
    rng = np.random.default_rng([seed, number, zlib.crc32(kind.name.encode())])
    harm = HARMS[number % len(HARMS)]
    if not kind.text and harm in (word, line):
        harm = (flip, flip_header)[harm is line]
    return harm(bytearray(whole), rng), harm.__name__


def arrays_in(value) -> list[np.ndarray]:
    """All that a result holds, as arrays."""
    if isinstance(value, dict):
        return [a for k in sorted(value, key=str) for a in (np.array(str(k)), *arrays_in(value[k]))]
    if isinstance(value, list | tuple):
        return [np.array(len(value)), *(a for v in value for a in arrays_in(v))]
    return [np.asarray(value)]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    """Whether two results are equal, to the bit."""
    return len(a) == len(b) and all(
        x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True)
    )


def could_be_seen(kind: Kind, found: list[np.ndarray]) -> bool:
    """Whether a result without a word should have had one."""
    numbers = [a.astype(np.float64) for a in found if a.dtype.kind == "f"]
    return kind.checksum or any(not np.isfinite(a).all() or (np.abs(a) > BEYOND).any() for a in numbers)


def outcome(kind: Kind, folder: pathlib.Path, right: list | None) -> tuple[str, str]:
    """What comes of a harmed file, and what is said."""
    try:
        found = arrays_in(kind.read(folder))
    except (InputError, StoreError) as e:
        return "sentence", str(e)
    except Exception as e:
        where = traceback.extract_tb(e.__traceback__)[-1]
        return "traceback", f"{type(e).__name__}: {e} ({where.filename}:{where.lineno})"
    if right is not None and same(found, right):
        return "same", ""
    return ("seen" if could_be_seen(kind, found) else "other"), ""


def work(given, cases: list[tuple[str, int]], pipe) -> None:
    """In a child: mutations by kind and number, each told before it is tried."""
    limit = int(given.gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    by_name, ready = {kind.name: kind for kind in KINDS}, None
    for name, number in cases:
        kind, folder = by_name[name], given.folder / name.replace("/", " ")
        if ready != name:
            folder.mkdir(parents=True, exist_ok=True)
            path, ready = kind.make(folder), name
            whole = path.read_bytes()
            try:
                right = arrays_in(kind.read(folder))
            except InputError:  # a kind of which no whole file can be had
                right = None
        path = kind.make(folder)
        data, harm = harmed(kind, whole, given.seed, number)
        path.write_bytes(data)
        pipe.send((name, number, harm, "started", ""))
        pipe.send((name, number, harm, *(("same", "") if data == whole else outcome(kind, folder, right))))
    pipe.send(None)
    os._exit(0)  # libraries take their time to end


def results(given, cases: list[tuple[str, int]]):
    """(kind, number, harm, outcome, what was said) of each; a child that died or hangs is followed by another."""
    context = multiprocessing.get_context("spawn")
    while cases:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(given, cases, theirs), daemon=True)
        child.start()
        theirs.close()
        last = None
        try:
            while ours.poll(
                given.seconds if last and last[3] == "started" else 300
            ):  # first it imports, or makes files
                told = ours.recv()
                if told is None:
                    return
                if told[3] != "started":
                    yield told
                last = told
            how = "hang"
        except EOFError:
            how = "crash"
        child.kill()
        child.join()
        if last is None or last[3] != "started":
            raise RuntimeError(f"a whole file could not be made or read: {cases[0] if last is None else last}")
        yield (*last[:3], how, f"exit code {child.exitcode}")
        cases = cases[cases.index((last[0], last[1])) + 1 :]


def main() -> None:
    """Print a line per kind, and write all that was said to FOLDER/fuzz.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60, help="that reading a file may take")
    parser.add_argument("--gigabytes", type=float, default=8, help="of address space")
    parser.add_argument("--folder", type=pathlib.Path, help="where the files are made")
    parser.add_argument("--only", help="KIND or KIND:NUMBER")
    given = parser.parse_args()
    given.folder = given.folder or pathlib.Path(tempfile.mkdtemp(prefix="fuzz-"))
    name, _, number = (given.only or "").partition(":")
    kinds = [k.name for k in KINDS if name in ("", k.name)]
    shares = [given.mutations * (i + 1) // len(kinds) - given.mutations * i // len(kinds) for i in range(len(kinds))]
    cases = [(k, n) for k, share in zip(kinds, shares, strict=True) for n in range(share)]
    began, told = time.monotonic(), []
    for found in results(given, [(name, int(number))] if number else cases):
        told.append(found)
        if found[3] in ("seen", "traceback", "crash", "hang"):
            print(*found, flush=True)
    (given.folder / "fuzz.json").write_text(json.dumps(told, indent=1))
    print(f"\n{'kind':32}" + "".join(f"{o:>10}" for o in OUTCOMES))
    for kind in [*kinds, "all"]:
        counts = collections.Counter(t[3] for t in told if kind in ("all", t[0]))
        print(f"{kind:32}" + "".join(f"{counts[o]:10}" for o in OUTCOMES))
    print(f"{time.monotonic() - began:.0f} s; all that was said is in {given.folder / 'fuzz.json'}")


if __name__ == "__main__":
    main()
