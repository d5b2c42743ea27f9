"""The standard indexes, over one mean per point or over all observations, and the items they hold."""

import dataclasses

import numpy as np
import pytest

from localize.index import items
from localize.index.faiss_binary import FaissBinary
from localize.index.faiss_index import FaissFlat, FaissHnsw, FaissIvf
from localize.index.faiss_pq import FaissIvfPq
from localize.kernels.point_sums import add_rows
from localize.types import LEAF, InputError
from tests.conftest import random_rows, unit

MEAN = [
    FaissFlat(),
    FaissHnsw(code="sq8"),
    FaissIvf(num_probes=6),
    FaissIvf(code="sq8", coarse="hnsw", num_probes=6),
    FaissIvfPq(num_codes=16, num_probes=6),
    FaissIvfPq(code="rabitq", rotation=True, num_probes=6),
    FaissIvfPq(num_codes=16, num_probes=6, refine="fp16", rotation=True, coarse="hnsw", num_lists=4),
    FaissBinary(num_probes=6),
    FaissBinary("hnsw"),
    FaissBinary("multihash", num_tables=6, bits_per_table=5),
]


def _means(rows):
    present = np.unique(rows.point)
    return present, unit(np.stack([rows.descriptors[rows.point == p].astype("f").sum(0) for p in present]))


def _partly_seen(rows, dtype=np.float32):
    """The rows without those of some points: these have no item."""
    kept = np.flatnonzero(rows.point % 9 != 4)
    descriptors, indptr = rows.descriptors[kept].astype(dtype), np.array([0, len(kept)])
    return dataclasses.replace(rows, descriptors=descriptors, point=rows.point[kept], image_indptr=indptr)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_items_are_the_means_of_the_points_seen(half, workers, monkeypatch):
    monkeypatch.setattr(items, "SUM_BYTES", 4 * 32 * 70)  # several passes
    monkeypatch.setattr(items, "BLOCK", 16)
    rows = _partly_seen(random_rows(np.random.default_rng(0)), np.float16 if half else np.float32)
    found = items.point_means(rows, workers)
    present, means = _means(rows)
    assert found.descriptors.dtype == np.float16
    assert found.point.tolist() == present.tolist()
    np.testing.assert_allclose(found.descriptors, means, atol=5e-4)
    assert items.index_items(rows, "all").descriptors is rows.descriptors


def test_threads_write_to_sums_of_their_own():
    rows = random_rows(np.random.default_rng(0), num_points=10)
    sums, identity = np.zeros((4, 32), np.float32), np.arange(10, dtype=np.int32)
    add_rows(rows.descriptors, False, rows.point, identity, 3, 1, 2, sums)  # items 3 to 6, of which 1 and 3 are its
    assert not sums[[0, 2]].any()
    for k in (1, 3):
        np.testing.assert_allclose(sums[k], rows.descriptors[rows.point == 3 + k].sum(0), atol=1e-5)


@pytest.mark.parametrize("index", MEAN, ids=str)
def test_standard_indexes_find_the_nearest_means(index):
    rng = np.random.default_rng(2)
    rows = _partly_seen(random_rows(rng, num_points=300))
    built = index.build(rows)
    present, means = _means(rows)
    true = rng.integers(len(present), size=100)
    queries = unit(means[true] + 0.05 * rng.normal(size=(100, 32)))
    found = index.nearest(built, rows, queries)
    similarity = queries @ means.T
    right = found.point == present[similarity.argmax(1)]
    assert right.mean() > 0.9
    assert np.abs(found.similarity - similarity.max(1))[right].max() < 0.03
    assert np.all(found.second <= np.sort(similarity)[:, -2] + 0.03)
    assert (found.source == np.where(found.point >= 0, LEAF, 0)).all()
    assert len(index.nearest(built, rows, queries[:0])) == 0


@pytest.mark.parametrize("index", [FaissIvfPq(num_codes=16, items="all"), FaissBinary("hnsw", items="all")], ids=str)
def test_observations_are_compared_by_the_maps_own_descriptors(index):
    rng = np.random.default_rng(2)
    rows = random_rows(rng, num_points=100)
    queries = unit(rows.descriptors[:50] + 0.02 * rng.normal(size=(50, 32)))
    found = index.nearest(index.build(rows), rows, queries)
    similarity = queries @ rows.descriptors.T
    right = found.point == rows.point[similarity.argmax(1)]
    assert right.mean() > 0.9
    np.testing.assert_allclose(found.similarity[right], similarity.max(1)[right], atol=1e-5)


def test_hash_tables_need_as_many_bits_as_there_are():
    with pytest.raises(InputError, match=r"num_tables=12 of bits_per_table=20 need more bits in all than the 32"):
        FaissBinary("multihash").build(random_rows(np.random.default_rng(0)))
