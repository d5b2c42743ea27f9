"""Nearest descriptors among keypoints in the same plane through two camera centres.

Sorted by the angle of their planes about the baseline, the candidates of a keypoint are neighbours in memory: of two
photos of 8,192 keypoints some ten or hundred instead of all.
"""

import numpy as np
from numba import njit

from localize.kernels.nearest import dot


@njit(nogil=True, cache=True)
def best_two_in_planes(
    first, angle, along, slack, second, angles, alongs, slacks, row, most, best, column, runner_up, back
):
    """For each row of the first photo its most similar candidate, and the next; for each of the second the best row.

    first (N, D), second (M, D) float32. angle, along (N,) float64 rad: of each ray's plane about the baseline, and
    between ray and baseline; slack (N,): the square of how far off its plane may be. angles, alongs, slacks (K,): the
    same of the second photo's row[k], by ascending angle; a row may stand there again a full turn further. Candidates
    have planes within both slacks, and rays that meet: the second's angle to the baseline is larger, by at most `most`.
    Fills best, runner_up (N,) float32 (-inf: none), column (N,), back (M,) int32 (-1: none). Ties: the earlier.
    """
    best[:], runner_up[:], column[:], back[:] = -np.inf, -np.inf, -1, -1
    best_back, widest = np.full(second.shape[0], -np.inf, np.float32), slacks.max() if slacks.shape[0] else 0.0
    for i in range(first.shape[0]):
        width = np.sqrt(slack[i] + widest)
        for k in range(np.searchsorted(angles, angle[i] - width), angles.shape[0]):
            apart = angles[k] - angle[i]
            if apart > width:
                break
            meet = alongs[k] - along[i]
            if meet < 0 or meet > most or apart * apart > slack[i] + slacks[k]:
                continue
            j = row[k]
            value = dot(first[i], second[j])
            if value > best[i]:
                best[i], column[i], runner_up[i] = value, j, best[i]
            elif value > runner_up[i]:
                runner_up[i] = value
            if value > best_back[j]:
                best_back[j], back[j] = value, i
