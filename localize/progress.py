"""How far long work is, told while it goes on: on a terminal by one live line, in a log by a line a minute.

A program may listen instead: `tell_by` takes any other `Teller` (JSON lines: `localize/console.py`).
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator

log = logging.getLogger(__name__)

DRAWN_S = 0.2  # between two drawings of the live line
LOGGED_S = 60.0  # between two lines of the log about one work
BAR = 20  # letters
SURE_S = 2.0  # what is left is not told before


class Work:
    """Something that takes long: its name, how much of it is done, and of how much in all where that is known."""

    def __init__(self, name: str, total: int | None, done: int, unit: str):
        self.name, self.unit, self.note = name, unit, ""
        self.facts: dict = {}  # for the end of it
        self.began = self.told = time.monotonic()
        self.count(total, done)

    def count(self, total: int | None, done: int = 0) -> None:
        """From now on `done` of `total` are done; what was done before says nothing of the rate."""
        self.total, self.done, self._before, self._counting = total, done, done, time.monotonic()

    def update(self, number: int = 1) -> None:
        """So many more are done."""
        self.done += number

    def tell(self, note: str) -> None:
        """What else is to be told beside its progress."""
        self.note = note

    @property
    def title(self) -> str:
        """Its name as people read it."""
        return self.name.replace("_", " ")

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    @property
    def rate(self) -> float | None:
        """Done per second, on average; None where too little was."""
        counting = time.monotonic() - self._counting
        done = self.done - self._before
        return done / counting if done > 0 and counting > SURE_S else None

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest will take, where they can be told."""
        rate = self.rate
        return None if rate is None or not self.total else max(0, self.total - self.done) / rate

    def amount(self, number: float) -> str:
        """So many of its unit."""
        return f"{number / 1e6:.1f} MB" if self.unit == "B" else f"{number:.0f}"

    def pace(self) -> str:
        """Its rate in words, empty where it is not known."""
        rate = self.rate
        if rate is None:
            return ""
        if self.unit == "B":
            return f"{self.amount(rate)}/s"
        return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"


class Teller:
    """What is told to people: on a terminal one live line, elsewhere a line a minute on the log."""

    def __init__(self):
        self.started, self._drawn = time.monotonic(), False

    @property
    def live(self) -> bool:
        """Whether there is a line to draw on."""
        return sys.stderr is not None and sys.stderr.isatty()

    def begun(self, work: Work) -> None:
        """It has begun."""

    def going_on(self, work: Work) -> None:
        """A moment has passed: called often."""
        if self.live:
            sys.stderr.write("\r\x1b[2K" + self.drawn(work, _columns()))
            sys.stderr.flush()
            self._drawn = True
        elif time.monotonic() - work.told >= LOGGED_S:
            work.told = time.monotonic()
            _log(in_words(work))

    def finished(self, work: Work) -> None:
        """It is over, or was stopped."""
        self.clear()

    def clear(self) -> None:
        """Take the live line away, so that another line can be written."""
        if self._drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._drawn = False

    def drawn(self, work: Work, columns: int) -> str:
        """The live line: what, how far, how fast, until when, and how long the whole run has taken."""
        run = f"run {clock(time.monotonic() - self.started)}"
        if work.total is None:
            so_far = f"{work.amount(work.done)} so far" if work.done else ""
            words = [so_far, clock(work.seconds), run, work.note]
        else:
            share = min(1.0, work.done / max(1, work.total))
            left = "" if work.left_s is None else f"{clock(work.left_s)} left"
            count = f"{work.amount(work.done)} of {work.amount(work.total)}"
            bar = f"[{'#' * int(share * BAR):.<{BAR}}]{share:5.0%}"
            words = [bar, count, work.pace(), left, run, work.note]
        return f"{work.title:<20} {'  '.join(filter(None, words))}"[: columns - 1]


_lock = threading.RLock()
_running: list[Work] = []
_teller = Teller()
_ticking = False  # whether a thread tells of what is running


def tell_by(teller: Teller) -> None:
    """From now on this one tells."""
    global _teller
    with _lock:
        _teller.clear()
        _teller = teller


def teller() -> Teller:
    """The one that tells."""
    return _teller


@contextlib.contextmanager
def work(name: str, total: int | None = None, done: int = 0, *, shown: bool = True, unit: str = "") -> Iterator[Work]:
    """Work that begins now and ends with the block. total: None where it is not known; unit: B, or none.

    Within a work of the same name, such as a stage, it is this one, which now counts. Of works within each other the
    last one is shown.
    """
    outer = _running[-1] if shown and _running else None
    if outer is not None and outer.name == name:
        outer.count(total, done)
        yield outer
        return
    new = Work(name, total, done, unit)
    if shown:
        _begin(new)
    try:
        yield new
    finally:
        if shown:
            with _lock:
                _running.remove(new)
                _teller.finished(new)


def counted(items: Iterable, name: str, total: int | None = None, *, shown: bool = True) -> Iterator:
    """The items, counted as they are asked for. total: None: as many as there are, if they have a length."""
    total = len(items) if total is None and hasattr(items, "__len__") else total
    with work(name, total, shown=shown) as counting:
        for item in items:
            yield item
            counting.update()


def _begin(new: Work) -> None:
    global _ticking
    with _lock:
        _running.append(new)
        _teller.begun(new)
        if not _ticking:
            _ticking = True
            threading.Thread(target=_tick, name="progress", daemon=True).start()


def _tick() -> None:
    """Tell of the last of the works, as long as there are any."""
    global _ticking
    while True:
        time.sleep(DRAWN_S)
        with _lock:
            if not _running:
                _ticking = False
                return
            with contextlib.suppress(OSError, ValueError):  # nobody reads any more, which the work need not know
                _teller.going_on(_running[-1])


def in_words(work: Work) -> str:
    """A line of the log."""
    so_far = f"for {spoken(work.seconds)}"
    if work.total is None:
        count = f", {work.amount(work.done)} so far" if work.done else ""
        return f"{work.title}: running {so_far}{count}"
    share = f"{work.done / max(1, work.total):.0%}"
    words = [f"{work.title}: {work.amount(work.done)} of {work.amount(work.total)} ({share}) {so_far}", work.pace()]
    if work.left_s is not None:
        until = time.strftime("%H:%M", time.localtime(time.time() + work.left_s))
        words.append(f"about {spoken(work.left_s)} left, until {until}")
    return ", ".join(filter(None, [*words, work.note]))


def spoken(seconds: float) -> str:
    """A duration as people say it: 0.4 s, 49 s, 3 min 5 s, 2 h 10 min."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def clock(seconds: float) -> str:
    """A duration as a clock shows it: 1:05, 2:10:00."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _log(line: str) -> None:
    """On the log; where nobody set one up, as in a notebook, on stderr: whoever wants progress wants to see it."""
    if log.isEnabledFor(logging.INFO):
        log.info("%s", line)
    elif not logging.getLogger().handlers:
        print(line, file=sys.stderr, flush=True)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
