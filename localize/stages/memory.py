"""What this process holds in memory, now and at most."""

import contextlib
import resource

import numpy as np


def reset_peak_memory() -> None:
    """Forget the highest memory use so far (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def peak_memory_mb() -> float:
    """Highest resident memory since the reset (Linux), else since the start of the process."""
    with contextlib.suppress(OSError), open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_memory_of_children_mb() -> float:
    """Highest resident memory of the largest worker process that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def array_bytes(*records) -> int:
    """Bytes of all arrays in these records."""
    return sum(a.nbytes for r in records for a in vars(r).values() if isinstance(a, np.ndarray))
