"""How many threads one computation may use, and libraries kept from starting more.

A stage of a pipeline limits BLAS to one thread, as its workers are threads themselves; elsewhere, as in a Localizer
that answers one query, BLAS may use all cores, and so may we.
"""

import contextlib
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import threadpoolctl

_lock = threading.Lock()


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")  # finding the libraries takes milliseconds


def allowed_threads() -> int:
    """As many as BLAS may use now; 1 inside a stage, and while others are busy `on_threads`.

    The smallest number of all BLAS there are: one on OpenMP (faiss brings it) forgets the limit in a new thread.
    """
    return min((library["num_threads"] for library in _blas().info()), default=1)


def available_cores() -> int:
    """Cores this process may use, for work that no worker shares, such as building an index."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sliced(size: int, parts: int) -> list[slice]:
    """range(size) in as many consecutive slices of like size, fewer if there is less."""
    parts = max(1, min(parts, size))
    return [slice(size * k // parts, size * (k + 1) // parts) for k in range(parts)]


def on_threads(work: Callable, parts: Sequence, threads: int | None = None) -> list:
    """work(part) of all parts, on `threads` threads, or as many as are allowed, with BLAS on one thread in each.

    work must release the interpreter's lock where it spends its time, and enter `one_torch_thread` before torch.
    """
    with contextlib.ExitStack() as stack:
        with _lock:
            threads = min(threads or allowed_threads(), len(parts))
            if threads > 1:
                stack.enter_context(_blas().limit(limits=1))
        if threads <= 1:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, parts))


class _OneTorchThread:
    """Torch starts no threads of its own inside; its own number comes back when the last user is done."""

    def __init__(self):
        self._lock, self._users, self._before = threading.Lock(), 0, 1

    def __enter__(self):
        import torch  # takes a second: only where it is used

        with self._lock:
            if not self._users:
                self._before = torch.get_num_threads()
            self._users += 1
            torch.set_num_threads(1)

    def __exit__(self, *_):
        import torch

        with self._lock:
            self._users -= 1
            if not self._users:
                torch.set_num_threads(self._before)


one_torch_thread = _OneTorchThread()


@contextlib.contextmanager
def torch_for_photos() -> Iterator[None]:
    """Torch as networks of whole photos want it: on one thread where others work beside it, as inside a stage; float32
    with all its digits on a GPU too, as results of both share a key."""
    import torch

    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        if allowed_threads() == 1:
            stack.enter_context(one_torch_thread)
        yield


def keep_memory() -> None:
    """Let the C library keep what is freed: activations are as large for every photo, and asking the kernel for zeroed
    pages each time makes a training's step 1.3, a small network's pass 1.2 times as long (numbers from glibc's
    malloc.h)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mmap_max, trim_threshold, top_pad = -4, -1, -2
        for option, value in ((mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 2**28)):
            mallopt(option, value)
