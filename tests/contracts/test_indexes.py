"""The contract of indexes, over all of them."""

import numpy as np
import pytest

from localize.index.exact import Exact
from localize.index.faiss_index import FaissFlat, FaissHnsw, FaissIvf
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.types import LEAF
from tests.conftest import random_rows, unit

INDEXES = [
    RandomTrees(items="all", leaf_size=16, budget=20, budget_unit="leaves", num_scored=64),  # of 32 bits: few tell
    LiteralTrees(num_leaves=20),
    Exact(items="all", precision="float32"),
    Exact(items="all", precision="int8"),
    Exact(items="all", precision="float16", device="cpu"),
    FaissFlat("all", 5),
    FaissHnsw(items="all", num_neighbours=5),
    FaissIvf(items="all", num_lists=4, num_probes=4),
]


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_indexes_find_the_nearest_points(index):
    rng = np.random.default_rng(2)
    rows = random_rows(rng, num_points=300)
    built = index.build(rows)
    true = rng.integers(len(rows.point), size=100)
    queries = unit(rows.descriptors[true] + 0.05 * rng.normal(size=(100, 32)))
    found = index.nearest(built, rows, queries)
    similarity = queries @ rows.descriptors.T
    assert np.mean(found.point == rows.point[true]) > 0.97
    right = found.point == rows.point[similarity.argmax(1)]
    assert right.mean() > 0.97
    assert np.abs(found.similarity - similarity.max(1))[right].max() < 0.02
    others = np.where(rows.point == found.point[:, None], -np.inf, similarity).max(1)
    assert np.all(found.second <= others + 0.02)
    assert (found.source == LEAF).all()
    assert found.compared >= 1
    nobody = index.nearest(built, rows, queries[:0])
    assert len(nobody) == nobody.compared == 0
