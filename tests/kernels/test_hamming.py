"""Nearest codes of two photos beside the whole matrix of distances; matches by bits beside those by values."""

import numpy as np
import pytest

from localize.kernels.hamming import nearest_codes, sign_codes
from localize.matching.mutual import MutualNearest
from localize.types import Features


def slow_nearest(first: np.ndarray, second: np.ndarray, keep: int) -> np.ndarray:
    """By a stable sort of all distances between bits (N, D) and (M, D) bool."""
    distance = (first[:, None] != second[None]).sum(2)
    order = np.argsort(distance, 1, kind="stable")[:, :keep]
    return np.pad(order, ((0, 0), (0, keep - order.shape[1])), constant_values=-1)


@pytest.mark.parametrize(
    ("dim", "num", "others", "keep"), [(256, 90, 1100, 3), (200, 40, 33, 8), (128, 65, 5, 8), (64, 7, 64, 1)]
)
def test_nearest_codes_are_the_slow_ones(dim, num, others, keep):
    rng = np.random.default_rng(dim)
    first, second = (rng.normal(size=(n, dim)).astype(np.float16) for n in (num, others))
    second[: others // 2] = first[rng.integers(0, num, others // 2)]  # equal ones, so that ties count
    second[0] = -first[0]  # as far as can be
    near, near_back = nearest_codes(sign_codes(first), sign_codes(second), keep)
    np.testing.assert_array_equal(near, slow_nearest(first > 0, second > 0, keep))
    np.testing.assert_array_equal(near_back, slow_nearest(second > 0, first > 0, keep))


def features(values: np.ndarray) -> Features:
    values = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)
    return Features(np.zeros((len(values), 2)), values, np.ones(len(values)))


def test_matches_by_bits_are_those_by_values():
    rng = np.random.default_rng(3)
    places = rng.normal(size=(500, 256))
    seen = [places[rng.permutation(500)[:400]] for _ in range(2)]
    first, second = (features(s + noise * rng.normal(size=s.shape)) for s, noise in zip(seen, (0.3, 0.6), strict=True))
    for ratio in (0.8, 1.0):
        by_values = MutualNearest(ratio=ratio).match(first, second).rows
        assert len(by_values) > 250
        np.testing.assert_array_equal(MutualNearest(ratio=ratio, by_bits=True).match(first, second).rows, by_values)
    exhaustive = MutualNearest(ratio=1.0, max_distance=2.0, by_bits=True, num_scored=400)
    by_values = MutualNearest(ratio=1.0, max_distance=2.0).match(first, second).rows
    np.testing.assert_array_equal(exhaustive.match(first, second).rows, by_values)


def test_few_keypoints_and_long_descriptors_match_as_by_values():
    rng = np.random.default_rng(4)
    for shape, others in (((1, 256), (1, 256)), ((1, 256), (3, 256)), ((30, 300), (20, 300))):
        first = features(rng.normal(size=shape))
        second = features(np.resize(first.descriptors, others) + 0.01 * rng.normal(size=others))
        by_values = MutualNearest().match(first, second).rows
        np.testing.assert_array_equal(MutualNearest(by_bits=True).match(first, second).rows, by_values)
