"""What the command line says, and to whom: `progress=` chooses.

true: sentences, and how far the work is (`localize/progress.py`); false: without the latter; quiet: warnings, errors
and the results; json: one JSON object a line on stdout for a program, and nothing else there (docs/choices.md).
"""

import contextlib
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator

from localize import progress
from localize.types import InputError

MODES = (True, False, "quiet", "json")
PROGRESS_S = 1.0  # between two JSON objects about one work

_writing = threading.Lock()
_mode: bool | str = True
_stdout = None  # where JSON goes; None: another mode


def use(mode: bool | str) -> None:
    """From now on; InputError for what is no mode."""
    global _mode, _stdout
    if not any(mode is m or (isinstance(mode, str) and mode == m) for m in MODES):
        raise InputError(f"progress is {mode!r}, but must be one of: true, false, quiet, json")
    _mode = mode
    if mode == "json" and _stdout is None:
        _stdout, sys.stdout = sys.stdout, sys.stderr  # what others print must not come between
    progress.tell_by(_JsonLines() if mode == "json" else progress.Teller())
    logging.getLogger("hydra").setLevel(logging.WARNING if mode in ("quiet", "json") else logging.NOTSET)


def shows_progress() -> bool:
    """Whether anybody wants to know how far the work is."""
    return _mode in (True, "json")


def for_programs() -> bool:
    """Whether a program listens, which can count."""
    return _mode == "json"


@contextlib.contextmanager
def opened(arguments: list[str]) -> Iterator[None]:
    """The console for a command line; as before when it ends."""
    global _stdout
    said = [a.partition("=")[2] for a in arguments if a.partition("=")[0].lstrip("+") == "progress"]
    use(said[-1] if said and said[-1] in MODES else True)
    try:
        yield
    finally:
        if _stdout is not None:
            sys.stdout, _stdout = _stdout, None
        use(True)


def say(text: str, table: str | None = None) -> None:
    """The results, on stdout. table: what of them is the most important, where only that is wanted."""
    if _mode == "quiet":
        print(text if table is None else table, flush=True)
    elif _mode != "json":
        print(f"\n{text}", flush=True)


def complain(text: str) -> None:
    """What is wrong, on stderr, before or after there is a log."""
    progress.teller().clear()
    if _mode == "json":
        event("error", text=text.strip())
    else:
        print(text, file=sys.stderr, flush=True)


def event(name: str, /, **facts) -> None:
    """Something has happened; for programs only."""
    if _mode == "json":
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = json.dumps({"event": name, "time": now, **facts}) + "\n"
        with _writing:  # the thread that tells of progress writes too
            _stdout.write(line)
            _stdout.flush()


class ConsoleHandler(logging.Handler):
    """Sentences on stderr, above the live line; as the mode wants it."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if _mode in ("quiet", "json") and record.levelno < logging.WARNING:
            return
        try:
            if _mode == "json":
                text = record.getMessage()
                event("error" if record.levelno >= logging.ERROR else "warning", text=text)
            else:
                progress.teller().clear()
                print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _JsonLines(progress.Teller):
    """An event when work begins, about once a second while it goes on, and when it ends."""

    live = False

    def begun(self, work: progress.Work) -> None:
        event("begun", stage=work.name)

    def going_on(self, work: progress.Work) -> None:
        if time.monotonic() - work.told < PROGRESS_S:
            return
        work.told = time.monotonic()
        facts = {"done": work.done, "total": work.total, "seconds": round(work.seconds, 2)}
        left = None if work.left_s is None else round(work.left_s, 1)
        event("progress", stage=work.name, **facts, left_s=left, **({"note": work.note} if work.note else {}))

    def finished(self, work: progress.Work) -> None:
        count = {"done": work.done} if work.done else {}
        event("finished", stage=work.name, seconds=round(work.seconds, 2), **(work.facts or count))
