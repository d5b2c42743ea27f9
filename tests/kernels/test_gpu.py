"""The most similar descriptors by torch beside the CPU's kernel; on a GPU too, where there is one."""

import numpy as np
import pytest
import torch

from localize.features.d2net import D2Net, D2NetMultiscale
from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.kernels import gpu
from localize.keys import key_of
from localize.matching import mutual
from localize.matching.epipolar import EpipolarNearest
from localize.matching.mutual import MutualNearest
from localize.stages import workers
from localize.stages.features import _processes_on_gpu
from localize.types import Features, InputError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not gpu.has_gpu(), reason="torch sees no GPU"))]


def unit(num: int, dim: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(num, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("sizes", [(50, 70), (33, 1), (1, 33), (16, 16)])
def test_the_two_best_by_torch_are_those_of_the_kernel(device, sizes, monkeypatch):
    monkeypatch.setattr(gpu, "BLOCK", 16)
    first, second = unit(sizes[0], 24, 0), unit(sizes[1], 24, 1)
    best, column, runner_up, row = gpu.best_two(first, second, device)
    expected = mutual._by_values(first, second, "cpu")
    np.testing.assert_allclose(best, expected[0], atol=1e-6)
    np.testing.assert_array_equal(column, expected[1])
    np.testing.assert_allclose(runner_up, expected[2], atol=1e-6)
    np.testing.assert_array_equal(row, expected[3](np.arange(sizes[1])))


def test_the_matches_are_the_same_and_stored_under_the_same_key(monkeypatch):
    base = unit(200, 64, 2).astype(np.float32)
    noisy = base[::-1] + 0.05 * np.random.default_rng(3).normal(size=base.shape)
    first, second = (Features(np.zeros((200, 2)), d.astype(np.float16), np.ones(200)) for d in (base, noisy))
    plain = MutualNearest(device="cpu").match(first, second).rows
    by_torch, calls = gpu.best_two, []
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu, "best_two", lambda a, b, device: calls.append(device) or by_torch(a, b, "cpu"))
    np.testing.assert_array_equal(MutualNearest().match(first, second).rows, plain)
    assert len(plain) > 150
    assert calls == ["cuda"]
    MutualNearest(by_bits=True).match(first, second)
    assert calls == ["cuda"]


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    for kind in (MutualNearest, EpipolarNearest):
        assert kind().preflight() == []
        assert "torch sees no GPU" in kind(device="cuda").preflight()[0]
        assert key_of(kind(device="cuda")) != key_of(kind())
    with pytest.raises(InputError, match="must be one of: auto, cpu, cuda"):
        MutualNearest(device="tpu")


def test_worker_processes_are_as_many_as_the_gpu_holds(monkeypatch):
    assert [workers.fit_on_gpu(16, free_mb, 4000) for free_mb in (80_000, 24_000, 9000, 8999, 100)] == [16, 5, 2, 1, 1]
    assert workers.fit_on_gpu(3, 80_000, 500) == 3
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6.2e9, 8e9))
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    asked = ((SiftCrbnet(), 8), (D2Net(), 8), (D2NetMultiscale(), 8), (Sift(), 8), (D2Net(), 1))
    assert [_processes_on_gpu(*one) for one in asked] == [6, 1, 1, None, None]
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    assert _processes_on_gpu(SiftCrbnet(), 8) is None
