"""Work on many arguments: by one worker who reads ahead, by threads, or by processes."""

import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import pathlib
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import threadpoolctl

from localize.types import InputError

AHEAD = 2  # photos in memory before their turn
CONTEXT_MB = 500  # of GPU memory that CUDA and its libraries take in each process, whatever it computes
NETWORK_MB = 4000  # of a network and its maps of a photo: 64 channels of 1600 x 1200 px are 500 MB, some at a time


RERUN = 3  # exit code of a worker process that was about to do its caller's work once more


def refuse_rerun() -> None:
    """End a worker process that is only importing its caller's script, and does its work in doing so.

    It would wait for the store's lock, which its caller holds, and its caller for it.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing.spawn asks itself
        os._exit(RERUN)


@dataclass(frozen=True)
class Work:
    """`of(argument)` or, with `read`, `of(argument, read(argument))`; picklable if its functions are."""

    of: Callable
    read: Callable | None = None
    gives_errors: bool = False  # an InputError, such as a photo that cannot be read, is what came out

    def __call__(self, argument, *there) -> tuple[object, float]:
        """(what came out, its seconds). there: what `read` gave, where it was read ahead."""
        start = time.perf_counter()
        try:
            if self.read is not None and not there:
                there = (self.read(argument),)
            made = self.of(argument, *there)
        except InputError as e:
            if not self.gives_errors:
                raise
            made = e
        except Exception as e:
            e.add_note(f"while working on {named(argument)}")
            raise
        return made, time.perf_counter() - start


def named(argument) -> str:
    """What is worked on, by the name that a user knows: of a photo, a file, or a pair of photos."""
    if isinstance(argument, tuple):
        return " with ".join(map(named, argument))
    return str(argument if isinstance(argument, pathlib.PurePath) else getattr(argument, "name", argument))


def fit_on_gpu(asked: int, free_mb: float, network_mb: float) -> int:
    """How many worker processes, each with a network, a GPU with so much free memory holds: at least one."""
    return max(1, min(asked, int(free_mb // (CONTEXT_MB + network_mb))))


def run(work: Work, arguments: list, workers: int, *, processes: bool = False) -> Iterator[tuple[object, float]]:
    """What `work` makes of each argument, in order, by so many threads, or processes where work holds the interpreter's
    lock. One worker reads ahead in a thread while it works, several each read their own."""
    if min(workers, len(arguments)) > 1:
        return _shared(work, arguments, min(workers, len(arguments)), processes)
    return _alone(work, arguments) if work.read is None else _reading_ahead(work, arguments)


def _alone(work: Work, arguments: list) -> Iterator[tuple[object, float]]:
    yield from map(work, arguments)


def _reading_ahead(work: Work, arguments: list) -> Iterator[tuple[object, float]]:
    """As by one worker, but up to `AHEAD` arguments are read before their turn; the seconds are those of both."""
    pool, reading = concurrent.futures.ThreadPoolExecutor(1), Work(work.read, gives_errors=work.gives_errors)
    try:
        for argument, (there, read_s) in zip(arguments, _ahead(pool, reading, arguments, AHEAD), strict=True):
            made, work_s = (there, 0.0) if isinstance(there, InputError) else work(argument, there)
            yield made, read_s + work_s
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _shared(work: Work, arguments: list, workers: int, processes: bool) -> Iterator[tuple[object, float]]:
    if processes:
        context = multiprocessing.get_context("spawn")  # fork would copy locked thread pools
        pool = concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_process)
    else:
        pool = concurrent.futures.ThreadPoolExecutor(workers, initializer=_start_thread)
    done = 0
    try:
        for made in _ahead(pool, work, arguments, 2 * workers):
            yield made
            done += 1
    except BrokenProcessPool as e:
        if killed := _of_killed(pool, arguments[done : done + workers], workers):
            raise killed from e
        raise
    except BaseException:  # stopped, or failed: nobody will keep what the others are still working on
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()  # no public way before Python 3.14; without it a stop waits for whole photos
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _of_killed(pool, at_work: list, workers: int) -> InputError | None:
    """A worker process was killed, in a sentence; None if none was, but all ended by themselves."""
    processes = list(pool._processes.values())
    pool.shutdown(wait=True, cancel_futures=True)  # it ends the others by SIGTERM
    if RERUN in [process.exitcode for process in processes]:
        return InputError(
            "each worker process imports the script that started it, so a script with more than one worker does its "
            'work under `if __name__ == "__main__":`; add this line, or take workers=1'
        )
    killed_by = sorted(-p.exitcode for p in processes if p.exitcode is not None and p.exitcode < 0)
    if not killed_by:
        return None
    by = next((k for k in killed_by if k != signal.SIGTERM), signal.SIGTERM)
    why = "a photo that is damaged, or a defect of a library"
    if by in (signal.SIGKILL, signal.SIGTERM):
        why = f"the memory may have run out: take fewer workers than workers={workers}, or smaller photos"
    names = ", ".join(map(named, at_work))
    return InputError(
        f"a worker process was killed ({signal.Signals(by).name}) while the workers were at {names}; {why}. What is "
        "done is kept; run again to go on"
    )


def _ahead(pool: concurrent.futures.Executor, work: Callable, arguments: list, number: int) -> Iterator:
    """Results in order, with up to `number` of them waiting or being made."""
    rest = iter(arguments)
    waiting = deque(pool.submit(work, a) for a in itertools.islice(rest, number))
    broken = None
    while waiting:
        made = waiting.popleft().result()
        try:
            if broken is None:
                waiting.extend(pool.submit(work, a) for a in itertools.islice(rest, 1))
        except BrokenProcessPool as e:
            broken = e  # what was made before is still there
        yield made
    if broken is not None:
        raise broken


_start_thread = functools.partial(threadpoolctl.threadpool_limits, 1, user_api="openmp")
# OpenMP's limit is each thread's own. BLAS has one for the process: the stage sets it and puts it back.


def _start_process() -> None:
    """A worker process runs single-threaded, and ends when its parent does, even by kill -9."""
    threadpoolctl.threadpool_limits(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    parent = multiprocessing.parent_process()

    def follow():
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
