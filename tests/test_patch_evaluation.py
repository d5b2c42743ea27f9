"""What patch descriptors are judged by: FPR95, their bits, HPatches; and the table of it all."""

import numpy as np
import pytest

from localize.evaluate.fpr95 import fpr95


def slow_fpr95(positive, negative):
    """Every positive distance is tried as the threshold, from the smallest on."""
    for threshold in sorted(positive):
        if 100 * sum(p <= threshold for p in positive) >= 95 * len(positive):
            return 100 * sum(n <= threshold for n in negative) / len(negative)


@pytest.mark.parametrize("num", [1, 2, 19, 20, 21, 40, 100, 101, 237])
@pytest.mark.parametrize("draw", ["reals", "hamming"])
def test_fpr95_is_the_count(num, draw):
    rng = np.random.default_rng(num)
    if draw == "reals":
        positive, negative = rng.uniform(0, 1.2, num), rng.uniform(0.4, 2, 300)
    else:  # whole numbers: many ties
        positive, negative = rng.binomial(256, 0.2, num), rng.binomial(256, 0.25, 300)
    assert fpr95(positive, negative) == pytest.approx(slow_fpr95(positive.tolist(), negative.tolist()), abs=1e-12)


def test_fpr95_counts_ties_and_refuses_nothing_and_nan():
    assert fpr95([1] * 19 + [9], [1, 1, 2, 3]) == 50
    assert fpr95([3] * 5, [3] * 5) == 100
    for positive, negative in (([], [1]), ([1], []), ([np.nan], [1])):
        with pytest.raises(ValueError, match=r"distances"):
            fpr95(positive, negative)
