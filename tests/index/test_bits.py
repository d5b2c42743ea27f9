"""The bits of descriptors: signs, medians, learned rotations, the same for every index that uses them."""

import numpy as np
import pytest

from localize.index import bits as bits_module
from localize.index import itq
from localize.index.bits import Coding, learn_coding
from localize.index.faiss_binary import FaissBinary
from localize.index.literal_trees import LiteralTrees
from localize.index.random_trees import RandomTrees
from localize.types import InputError, PointRows


def relu_rows(rng, num_points: int, dim: int) -> PointRows:
    """As a network with ReLU gives them: no value negative, most information in few directions."""
    mixing = rng.normal(size=(24, dim))
    base = rng.normal(size=(num_points, 24))
    point = np.repeat(np.arange(num_points), 2)
    d = np.maximum(1 + (base[point] + 0.15 * rng.normal(size=(len(point), 24))) @ mixing / 4, 0)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    return PointRows(np.zeros((num_points, 3)), d.astype(np.float16), point, [0, len(point)])


def slow_itq(descriptors, num_bits, seed, iterations):
    """Section 3 of the paper, value by value: PCA (or an expansion), then signs and rotation in turn."""
    rng = np.random.default_rng(seed)
    n, dim = descriptors.shape
    mean = sum(descriptors[i].astype(float) for i in range(n)) / n
    centred = descriptors - mean
    if num_bits > dim:
        W = np.linalg.qr(rng.normal(size=(num_bits, dim)))[0].T
    else:
        values, vectors = np.linalg.eig(sum(np.outer(x, x) for x in centred))
        W = vectors.real[:, np.argsort(-values.real)[:num_bits]]
        W = np.array([w if max(w) > -min(w) else -w for w in W.T]).T
    R = np.linalg.qr(rng.normal(size=(num_bits, num_bits)))[0]
    losses = []
    for _ in range(iterations):
        B = np.array([[1.0 if v > 0 else -1.0 for v in row] for row in centred @ W @ R])
        losses.append(((B - centred @ W @ R) ** 2).sum())
        U, _, Vt = np.linalg.svd((centred @ W).T @ B)  # orthogonal Procrustes: the R that brings V W nearest to B
        R = U @ Vt
    return W, R, mean, losses


@pytest.mark.parametrize("num_bits", [6, 16, 40])  # fewer than the descriptor has values, as many, more
def test_itq_is_the_slow_one(num_bits, monkeypatch):
    monkeypatch.setattr(itq, "ITERATIONS", 8)
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(300, 16)) * np.linspace(0.2, 2, 16) + rng.normal(size=16)).astype(np.float32)
    rotation, thresholds = itq.itq_rotation(rows, num_bits, seed=3)
    W, R, mean, losses = slow_itq(rows, num_bits, 3, 8)
    assert losses == sorted(losses, reverse=True)
    np.testing.assert_allclose(rotation, W @ R, atol=2e-3)
    lengths = np.linalg.norm(rotation, axis=1 if num_bits >= 16 else 0)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)  # distances are kept, or all that K directions have of them
    np.testing.assert_allclose(thresholds, mean @ rotation, atol=1e-4)


def test_signs_medians_and_what_auto_takes(monkeypatch):
    rng = np.random.default_rng(2)
    signed = rng.normal(size=(501, 20)).astype(np.float16)
    for choice, rows, name in (
        ("auto", signed, "sign"),
        ("auto", np.abs(signed), "median"),
        ("sign", np.abs(signed), "sign"),
        ("median", signed, "median"),
    ):
        coding = learn_coding(rows, choice, None, 0)
        assert coding.binarisation == name
        assert not coding.rotation.size
        limits = [sorted(float(r[k]) for r in rows)[250] if name == "median" else 0.0 for k in range(20)]
        bits = [[float(v) > t for v, t in zip(row, limits, strict=True)] for row in rows]
        np.testing.assert_array_equal(coding.bits(rows), bits)
    monkeypatch.setattr(itq, "ITERATIONS", 1)
    for dim, negative, name, num_bits in ((256, 0, "median", 256), (257, 0, "itq", 256), (257, -1, "sign", 257)):
        rows = rng.random((300, dim))
        rows[150, 3] = negative
        coding = learn_coding(rows.astype(np.float32), "auto", None, 0)
        assert (coding.binarisation, len(coding.thresholds)) == (name, num_bits)


def test_a_descriptors_bits_do_not_depend_on_those_it_comes_with(monkeypatch):
    monkeypatch.setattr(bits_module, "BLOCK", 7)
    rows = relu_rows(np.random.default_rng(3), 50, 96)
    coding = learn_coding(rows.descriptors, "itq", 64, 0)
    together = coding.projected(rows.descriptors)
    alone = np.concatenate([coding.projected(rows.descriptors[i : i + 1]) for i in range(100)])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together, rows.descriptors.astype(float) @ coding.rotation, atol=1e-6)
    np.testing.assert_allclose(coding.columns(rows.descriptors, [5, 2]), together[:, [5, 2]], atol=1e-6)
    codes = np.empty((100, 1), np.uint64)
    coding.pack(rows.descriptors, codes)
    unpacked = np.unpackbits(codes.view(np.uint8), axis=1, bitorder="little").astype(bool)
    np.testing.assert_array_equal(unpacked, together > coding.thresholds)
    np.testing.assert_array_equal(coding.bits(rows.descriptors), unpacked)


@pytest.mark.parametrize("made", [RandomTrees, LiteralTrees, FaissBinary])
def test_every_index_of_codes_takes_the_same_bits(made):
    rng = np.random.default_rng(5)
    rows = relu_rows(rng, 400, 160)
    queries = rows.descriptors[:100].astype(np.float32) + 0.01 * rng.normal(size=(100, 160)).astype(np.float32)
    few = {"num_leaves": 3, "scope": "total"} if made is LiteralTrees else {}
    for choice, num_bits, width in (("auto", None, 160), ("itq", None, 256), ("itq", 64, 64)):
        index = made(bits=choice, num_bits=num_bits, **few)
        built = index.build(rows)
        assert isinstance(built, Coding)
        assert (built.binarisation, len(built.thresholds)) == ("median" if choice == "auto" else "itq", width)
        found = index.nearest(built, rows, queries)
        assert np.mean(found.point == rows.point[:100]) > (0.9 if made is LiteralTrees else 0.97)
    with pytest.raises(InputError, match="num_bits is 64, but bits=median makes one bit of each value"):
        made(bits="median", num_bits=64)
    with pytest.raises(InputError, match="must be one of: auto, sign, median, itq"):
        made(bits="medians")
