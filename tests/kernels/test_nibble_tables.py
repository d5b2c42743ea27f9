"""Tables of four bits and the sums that a block of codes looks up in them, against slow twins."""

import numpy as np
import pytest
from numba import njit

from localize.kernels import nibble_tables
from localize.kernels.codes import in_blocks, pack_codes
from localize.kernels.nibble_tables import FAR, REACH, sums_of_block, tables_of
from localize.kernels.vector_code import BLOCK
from tests.index.slow_random_trees import slow_sums


def slow_tables(query, thresholds, words):
    """Entry v of table n is what bits 4 n to 4 n + 3 cost if they are v, to the nearest whole unit."""
    value = np.zeros(64 * words)
    value[: len(query)] = query - thresholds
    unit = FAR / REACH / max(np.abs(value).sum(), 1e-30)
    bits = np.arange(16)[:, None] >> np.arange(4) & 1
    differs = bits[None] != (value.reshape(-1, 1, 4) > 0)
    return np.floor(np.minimum((differs * np.abs(value).reshape(-1, 1, 4)).sum(2) * unit, FAR) + 0.5)


@pytest.mark.parametrize(("dim", "words"), [(128, 2), (100, 2), (256, 4), (1024, 16)])
def test_tables_are_the_slow_ones(dim, words):
    rng = np.random.default_rng(dim)
    thresholds = rng.normal(size=dim).astype("f") / 9
    queries = np.concatenate([rng.normal(size=(20, dim)), [thresholds, thresholds + np.eye(dim)[3]]]).astype("f")
    for query, table in zip(queries, tables_of(queries, thresholds, words), strict=True):
        expected = slow_tables(query, thresholds, words)
        assert np.abs(table - expected).max() <= 1  # float32 rounds a half another way
        assert (table != expected).mean() < 0.001


@pytest.mark.parametrize("shuffles", [None, {}], ids=["this processor's shuffle", "without one"])
@pytest.mark.parametrize("words", [2, 4, 8, 16])
def test_sums_of_a_block_are_the_slow_ones(words, shuffles, monkeypatch):
    if shuffles is not None:
        monkeypatch.setattr(nibble_tables, "_SHUFFLES", shuffles)

    @njit
    def asked(width, codes, at, tables, tables_at, limit, sums):
        return sums_of_block(width, codes, at, tables, tables_at, limit, sums)

    rng = np.random.default_rng(words)
    values = rng.normal(size=(3 * BLOCK - 5, 64 * words)).astype("f")
    codes = np.empty((len(values), words), np.uint64)
    pack_codes(values, False, np.zeros(64 * words, np.float32), codes)
    tables = tables_of(values[:2] + rng.normal(size=(2, 64 * words)).astype("f"), np.zeros(64 * words, "f"), words)
    expected = slow_sums(np.concatenate([values > 0, np.zeros((5, 64 * words), bool)]), tables[1])
    blocks, sums = in_blocks(codes), np.empty(BLOCK, np.uint8)
    for block in range(3):
        own = expected[BLOCK * block : BLOCK * (block + 1)]
        limit = int(np.median(own))
        at = block * blocks[0].size
        mask = asked((0,) * words, blocks.reshape(-1), at, tables.reshape(-1), tables[0].size, limit, sums)
        assert sums.tolist() == own.tolist()
        assert [mask >> i & 1 for i in range(BLOCK)] == (own <= limit).astype(int).tolist()
