"""What this machine has, and how fast it is beside the one where the constants were measured."""

import contextlib
import os
import pathlib
import resource
import shutil
import time
from dataclasses import dataclass

import numpy as np
import threadpoolctl

MB = 1 << 20
LIMITLESS = 1 << 60  # bytes; control groups without a limit name a number like this
WORK_S = 0.0031  # of `_work` where the constants were measured, see `constants.py`


@dataclass(frozen=True)
class Machine:
    """What a run may use."""

    workers: int
    memory_mb: float  # not in use by others
    disk_mb: float  # free where the store is
    slowness: float = 1.0  # seconds here of what takes one where the constants were measured


def this_machine(root: str | os.PathLike, workers: int) -> Machine:
    """The machine that a store at `root` and so many workers run on."""
    return Machine(workers, free_memory_mb(), free_disk_mb(root), measured_slowness())


def free_memory_mb(proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> float:
    """Memory that a new process could take: what the system has, or what this control group may still use."""
    free = [_available(pathlib.Path(proc)), *_left_in_groups(pathlib.Path(proc), pathlib.Path(groups))]
    return min(free) / MB


def _available(proc: pathlib.Path) -> float:
    with contextlib.suppress(OSError):
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _left_in_groups(proc: pathlib.Path, groups: pathlib.Path) -> list[float]:
    """Bytes left in this process's group and those above it, of version 2 or 1, where there is a limit."""
    lines = []
    with contextlib.suppress(OSError):
        lines = [line.split(":", 2)[1:] for line in (proc / "self" / "cgroup").read_text().splitlines()]
    left = []
    for controllers, path in lines:
        if controllers == "":
            root, names = groups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = groups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        at = root / path.strip("/")
        for folder in [at, *at.parents]:
            if folder == root.parent:
                break
            with contextlib.suppress(OSError, ValueError):
                left.append(_left(folder, *names))
    return [number for number in left if number < LIMITLESS]


def _left(folder: pathlib.Path, limit: str, used: str, cache: str) -> float:
    """Bytes a group may still use: its cache of files makes room. ValueError where it has no limit ("max")."""
    most, now = (int((folder / name).read_text()) for name in (limit, used))
    kept = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return max(0.0, most - now + next((float(value) for name, value in kept if name == cache), 0.0))


def free_disk_mb(root: str | os.PathLike) -> float:
    """Free space where a folder is, or will be."""
    at = pathlib.Path(root).absolute()
    while not at.exists():
        at = at.parent
    return shutil.disk_usage(at).free / MB


def resident_memory_mb() -> float:
    """What this process holds now (Linux; elsewhere the most it ever held)."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured_slowness() -> float:
    """The seconds of a little work by those it took where the constants were measured; takes a few hundredths."""
    with threadpoolctl.threadpool_limits(1):
        return min(_work() for _ in range(5)) / WORK_S


def _work() -> float:
    rng = np.random.default_rng(0)
    values, rows = rng.random(200_000), rng.random((256, 256), np.float32)
    start = time.perf_counter()
    np.sort(values)
    for _ in range(8):
        rows = np.tanh(rows @ rows.T / 256)
    return time.perf_counter() - start
