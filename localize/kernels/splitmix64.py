"""SplitMix64: random numbers that are alike on every machine (Steele et al., OOPSLA 2014)."""

import numpy as np
from numba import njit

GAMMA = np.uint64(0x9E3779B97F4A7C15)  # from one state to the next


@njit(nogil=True, cache=True)
def mixed(z):
    """Random bits for a state uint64, or for each state of an array."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(nogil=True, cache=True)
def random_below(state, n):
    """Next integer in 0..n-1 of the generator whose state is state[0] uint64."""
    state[0] += GAMMA
    return np.int64(mixed(state[0]) % np.uint64(n))
