"""Random numbers that are alike on every machine."""

import numpy as np

from localize.kernels.splitmix64 import GAMMA, mixed, random_below


def test_numbers_are_those_of_the_generator():
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]  # of seed 0, as Java and many others draw them
    assert mixed(np.arange(1, 3, dtype=np.uint64) * GAMMA).tolist() == first
    state = np.zeros(1, np.uint64)
    assert [random_below(state, 1000) for _ in range(2)] == [n % 1000 for n in first]
