"""Where stages work: the store, the workers, the progress bar, and a record of what each stage cost."""

import concurrent.futures
import contextlib
import functools
import itertools
import logging
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import threadpoolctl
import tqdm

from localize.store import Shelf, Store
from localize.types import InputError

log = logging.getLogger(__name__)
AHEAD = 2  # photos in memory before their turn


@dataclass
class StageRecord:
    """What one stage did in this run."""

    name: str
    key: str = ""
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    peak_memory_mb: float = 0.0  # of this process while the stage ran, and of its worker processes


@dataclass(frozen=True, eq=False)
class Beside:
    """A second shelf that one piece of work fills along with the first, under the same item keys, as photos that are
    read and seen once."""

    shelf: Shelf

    ITEMS: ClassVar[int] = 1000  # in memory until they are written

    def taken_from(self, results: Iterator) -> Iterator[tuple[str, object, float]]:
        """The first of the two records of each result, and its seconds; the second ones go to this shelf."""
        waiting: dict[str, tuple] = {}
        try:
            for item, (first, second, second_s), seconds in results:
                waiting[item] = (item, second, second_s)
                if len(waiting) == self.ITEMS:
                    self._put(waiting)
                yield item, first, seconds - second_s
        finally:  # what is finished is kept, whatever stops the iteration
            self._put(waiting)

    def _put(self, waiting: dict[str, tuple]) -> None:
        with self.shelf.filling():
            self.shelf.fill(iter([r for item, r in waiting.items() if item not in self.shelf]))
        waiting.clear()


@dataclass
class Workbench:
    """A store, a number of workers (results do not depend on it), and the records of the stages run so far."""

    store: Store
    workers: int = 1
    progress: bool = False
    records: list[StageRecord] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)  # photos that had to be left out, and why

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[StageRecord]:
        """Time a stage. Libraries run on one thread each: the workers are ours, and results do not depend on them."""
        record = StageRecord(name)
        _reset_peak_memory()
        start = time.perf_counter()
        with threadpoolctl.threadpool_limits(1):
            yield record
        record.seconds = time.perf_counter() - start
        record.peak_memory_mb += _peak_memory_mb()
        self.records.append(record)
        reused = f", {record.reused} reused" if record.reused else ""
        log.info("%-18s %5d computed%s in %.1f s", name, record.computed, reused, record.seconds)

    def artifact(self, name: str, spec: dict, build: Callable[[], object]) -> tuple[object, str]:
        """One result from the store, or built now. Returns (record, key)."""
        with self.stage(name) as record:
            result, record.key, reused = self.store.artifact(name, spec, build)
            record.reused, record.computed = int(reused), int(not reused)
        return result, record.key

    def fill(
        self,
        name: str,
        shelf: Shelf,
        items: dict[str, object],
        work: Callable,
        *,
        read: Callable | None = None,
        beside: "Beside | None" = None,
        processes: bool = False,
    ) -> dict[str, str]:
        """Put `work(argument)`, or `work(argument, read(argument))`, on the shelf for every item key not there yet.

        With `beside`, work returns two records and the seconds of the second, which goes to the shelf named there.
        An item whose work returns an InputError, such as a photo that cannot be read, is logged and left out.
        Returns what was wrong by item key.
        """
        failures: dict[str, str] = {}
        with self.stage(name) as record, contextlib.ExitStack() as stack:
            record.key = shelf.key
            if any(k not in shelf for k in items):
                stack.enter_context(shelf.filling())
            missing = [k for k in items if k not in shelf]
            record.reused = len(items) - len(missing)
            hidden = None if self.progress else True  # None: shown on a terminal only
            bar = tqdm.tqdm(total=len(items), initial=record.reused, desc=name, leave=False, disable=hidden)
            stack.enter_context(bar)
            results = self.map(work, [items[k] for k in missing], read=read, processes=processes)
            with contextlib.closing(results):
                usable = _usable(zip(missing, results, strict=True), failures, bar)
                if beside is not None:  # closed here, so that its last items are kept whatever stops the shelf
                    usable = stack.enter_context(contextlib.closing(beside.taken_from(usable)))
                shelf.fill(usable)
            record.computed = len(missing) - len(failures)
            if processes and min(self.workers, len(missing)) > 1:  # ended by now, so their memory is known
                children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                record.peak_memory_mb += min(self.workers, len(missing)) * children
        return failures

    def map(self, work: Callable, arguments: list, *, read=None, processes=False) -> Iterator[tuple[object, float]]:
        """(work(argument), its seconds) in order, on this bench's workers: threads, or processes where work holds
        the interpreter's lock.

        With `read` it is work(argument, read(argument)): one worker reads ahead in a thread while it works, several
        each read their own. The seconds are those of both.
        """
        workers = min(self.workers, len(arguments))
        if workers <= 1 and read:
            yield from _reading_ahead(read, work, arguments)
            return
        timed = functools.partial(_timed, functools.partial(_read_and_work, read, work) if read else work)
        if workers <= 1:
            yield from map(timed, arguments)
            return
        if processes:
            context = multiprocessing.get_context("spawn")  # fork would copy locked thread pools
            pool = concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_worker)
        else:
            pool = concurrent.futures.ThreadPoolExecutor(workers, initializer=_start_thread)
        try:
            waiting, rest = deque(), iter(arguments)
            waiting.extend(pool.submit(timed, a) for a in itertools.islice(rest, 2 * workers))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(timed, a) for a in itertools.islice(rest, 1))
        except BaseException:  # stopped, or failed: nobody will keep what the others are still working on
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()  # no public way before Python 3.14; without it a stop waits for whole photos
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _usable(results, failures: dict[str, str], bar):
    """The results that are no errors; the errors are logged and collected."""
    for item, (result, seconds) in results:
        bar.update()
        if isinstance(result, InputError):
            log.error("%s; left out, the rest goes on", result)
            failures[item] = str(result)
        else:
            yield item, result, seconds


def _read_and_work(read: Callable, work: Callable, argument):
    return work(argument, read(argument))


def _reading_ahead(read: Callable, work: Callable, arguments: list) -> Iterator[tuple[object, float]]:
    """(work(argument, read(argument)), seconds of both), with up to `AHEAD` arguments read before their turn."""
    pool, waiting, rest = concurrent.futures.ThreadPoolExecutor(1), deque(), iter(arguments)
    try:
        waiting.extend((a, pool.submit(_timed, read, a)) for a in itertools.islice(rest, AHEAD))
        while waiting:
            argument, future = waiting.popleft()
            there, read_s = future.result()
            waiting.extend((a, pool.submit(_timed, read, a)) for a in itertools.islice(rest, 1))
            result, work_s = _timed(work, argument, there)
            yield result, read_s + work_s
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _timed(work: Callable, argument, *more) -> tuple[object, float]:
    start = time.perf_counter()
    try:
        return work(argument, *more), time.perf_counter() - start
    except Exception as e:
        e.add_note(f"while working on {argument}")
        raise


def _start_thread() -> None:
    """OpenMP's limit is each thread's own. BLAS has one for the process: the stage sets it and puts it back."""
    threadpoolctl.threadpool_limits(1, user_api="openmp")


def _start_worker() -> None:
    """A worker process runs single-threaded, and ends when its parent does, even by kill -9."""
    threadpoolctl.threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    parent = multiprocessing.parent_process()

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _reset_peak_memory() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # Linux: forget the highest memory use so far


def _peak_memory_mb() -> float:
    """Highest resident memory since the reset (Linux), else since the start of the process."""
    with contextlib.suppress(OSError), open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def array_bytes(*records) -> int:
    """Bytes of all arrays in these records."""
    return sum(a.nbytes for r in records for a in vars(r).values() if isinstance(a, np.ndarray))
