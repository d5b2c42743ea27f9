"""Whether torch sees a GPU, and the two most similar descriptors by torch on a GPU (or a CPU, where tests compare)."""

import functools
import pathlib

import numpy as np

BLOCK = 1024  # rows of the similarity matrix at a time: 32 MB beside 8192 others
DRIVERS = "/dev/nvidiactl", "/dev/dxg"  # the second in Windows' subsystem for Linux


@functools.cache
def has_gpu() -> bool:
    """Whether torch can compute by CUDA. Importing it takes a second: only where there is a driver."""
    if not any(pathlib.Path(driver).exists() for driver in DRIVERS):
        return False
    import torch

    return torch.cuda.is_available()


def best_two(
    first: np.ndarray, second: np.ndarray, device: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each row of first (N, D) the largest similarity (N,) float32 among second (M, D), M > 0, its row (N,) int32
    and the second largest, -inf if there is none; and the best row (M,) int32 of first for each of second.

    Computed in float32, as `nearest.best_two_columns` does, but of equal ones any may be the best.
    """
    import torch

    a, b = (torch.from_numpy(np.ascontiguousarray(x)).to(device).float() for x in (first, second))
    best, runner_up = torch.full((2, len(a)), -torch.inf, device=device)
    column = torch.empty(len(a), dtype=torch.int64, device=device)
    of_column = torch.full((len(b),), -torch.inf, device=device)
    row = torch.full((len(b),), -1, dtype=torch.int64, device=device)
    for at in range(0, len(a), BLOCK):
        block = slice(at, at + BLOCK)
        similarity = a[block] @ b.T
        values, columns = similarity.topk(min(2, len(b)), dim=1)
        best[block], column[block] = values[:, 0], columns[:, 0]
        if len(b) > 1:
            runner_up[block] = values[:, 1]
        most, where = similarity.max(dim=0)
        row = torch.where(most > of_column, where + at, row)
        of_column = torch.maximum(most, of_column)
    floats, rows = (best, runner_up), (column, row)
    best, runner_up = (x.cpu().numpy() for x in floats)
    column, row = (x.cpu().numpy().astype(np.int32) for x in rows)
    return best, column, runner_up, row
