"""SIFT keypoints with CRBNet descriptors: the network made fast, keypoints dropped, weights in the key.

The weights are random, which is enough for all but the quality of the matches.
"""

import dataclasses
import pathlib
import threading

import numpy as np
import pytest
import threadpoolctl
import torch
from torch import nn

from localize.features.sift import Sift
from localize.features.sift_crbnet import SiftCrbnet
from localize.kernels.patches import extract_patches
from localize.keys import describe as described
from localize.networks.inference import describe, folded, prepared
from localize.networks.patches import patch_network
from localize.preflight import check_parts
from localize.retrieval.hloc import Hloc
from localize.stages import Workbench, extract_features, query_photos
from localize.store import Store
from localize.types import InputError
from localize.weights.patches import save_weights
from tests.contracts.test_features import blobs, check_local_feature


def random_network(name: str, seed: int = 0) -> nn.Module:
    """Random weights with the batch statistics of noise."""
    torch.manual_seed(seed)
    network = patch_network(name)
    with torch.no_grad():
        network.train()(torch.randn(64, 1, 32, 32))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):  # of one batch with momentum 0.1, so far from what a trained one has
            norm.running_mean.mul_(10)
            norm.running_var.sub_(0.9).mul_(10)
    return network.eval()


def write(path: pathlib.Path, seed: int = 0) -> str:
    save_weights(path, random_network("l2net128", seed), "l2net128", {})
    return str(path)


@pytest.fixture(scope="module")
def feature(tmp_path_factory) -> SiftCrbnet:
    return SiftCrbnet(weights=write(tmp_path_factory.mktemp("weights") / "small.safetensors"), max_keypoints=600)


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize("name", ["crbnet256_lite", "l2net128"])
def test_the_fast_network_is_the_network(name):
    network, patches = random_network(name), noise(8)
    with torch.inference_mode():
        x = torch.from_numpy(patches)[:, None].float()
        slow, fold = network(x).numpy(), folded(network)(x).numpy()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded(network).modules())
    np.testing.assert_allclose(fold, slow, atol=1e-5)
    np.testing.assert_allclose(describe(prepared(network, "float32", "cpu"), patches), slow, atol=1e-5)
    short = describe(prepared(network, "bfloat16", "cpu"), patches)
    assert 1e-4 < np.abs(short - slow).max() < 0.05
    assert (short * slow).sum(1).min() > 0.995
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_descriptor_does_not_depend_on_the_other_patches(precision):
    network, patches = prepared(random_network("l2net128"), precision, "cpu"), noise(70)
    every = describe(network, patches, 64)
    for rows in (range(69, -1, -1), [69], range(3, 40)):
        np.testing.assert_array_equal(describe(network, patches[list(rows)], 64), every[list(rows)])
    np.testing.assert_array_equal(describe(network, patches.astype(np.float32), 64), every)
    assert describe(network, patches[:0]).shape == (0, 128)


def test_batches_on_several_threads_are_those_on_one():
    network, patches, threads = prepared(random_network("l2net128"), device="cpu"), noise(300), set()
    network.register_forward_hook(lambda *_: threads.add(threading.get_ident()))
    with threadpoolctl.threadpool_limits(1):
        alone = describe(network, patches, 32)
    assert threads == {threading.get_ident()}
    with threadpoolctl.threadpool_limits(3):
        np.testing.assert_array_equal(describe(network, patches, 32), alone)
    assert len(threads) > 2


def test_torchs_own_threads_come_back():
    threads, network = torch.get_num_threads(), prepared(random_network("l2net128"), device="cpu")
    try:
        torch.set_num_threads(threads + 1)
        describe(network, noise(40))
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)


def test_contract(feature):
    check_local_feature(feature)
    found = feature.extract(blobs())
    assert found.descriptors.dtype == np.float16
    assert found.descriptors.shape[1] == 128
    assert 0.3 < (found.descriptors > 0).mean() < 0.7


@pytest.mark.parametrize("upright", [False, True])
def test_keypoints_whose_patch_leaves_the_photo_are_dropped_if_asked_for(feature, upright):
    feature, photo = dataclasses.replace(feature, upright=upright), blobs()
    sift = Sift(max_keypoints=600, upright=upright).extract(photo)
    assert len(feature.extract(photo)) == len(sift)
    feature = dataclasses.replace(feature, boundary="drop")
    _, rows = extract_patches(photo, sift.keypoints, sift.scales, sift.orientations)
    assert 20 < len(rows) < len(sift) - 10
    found = feature.extract(photo)
    for name in ("keypoints", "scales", "orientations", "scores"):
        np.testing.assert_array_equal(getattr(found, name), getattr(sift, name)[rows])
    at = feature.describe_at(photo, sift.keypoints, sift.scales, sift.orientations)
    np.testing.assert_array_equal(at.keypoints, sift.keypoints)
    np.testing.assert_array_equal(at.descriptors[rows], found.descriptors)
    assert np.flatnonzero(at.descriptors.any(1)).tolist() == rows.tolist()
    every = dataclasses.replace(feature, boundary="replicate").extract(photo)
    np.testing.assert_array_equal(every.keypoints, sift.keypoints)
    np.testing.assert_array_equal(every.descriptors[rows], found.descriptors)


def test_a_patch_that_shows_nothing_is_described_by_zeros(feature):
    photo = np.full((100, 200), 90, np.uint8)
    photo[:, 100:] = np.random.default_rng(0).integers(0, 256, (100, 100))
    found = feature.describe_at(photo, [[50, 50], [150, 50]], [2, 2], [0, 0]).descriptors
    assert found.any(1).tolist() == [False, True]
    with pytest.raises(InputError, match="1 of 1 keypoints hold NaN"):
        feature.describe_at(photo, [[np.nan, 50]], [2], [0])


def test_other_weights_under_the_same_name_are_another_feature(tmp_path):
    feature, photo = SiftCrbnet(weights=write(tmp_path / "w.safetensors")), blobs()
    first, key = feature.extract(photo).descriptors, described(feature)
    assert described(dataclasses.replace(feature)) == key
    assert described(dataclasses.replace(feature, precision="float32")) != key
    write(tmp_path / "w.safetensors", seed=1)
    assert described(feature) != key
    assert np.abs(feature.extract(photo).descriptors - first).max() > 0.1  # the old network is not used any more


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("nothing.safetensors", "weights file nothing.safetensors is missing"),
        ("crb", r"no weights 'crb' \(shipped: .*; published: .*\): give one of these, or the path"),
        ("cut.safetensors", "cut.safetensors is cut off or no weights file"),
    ],
)
def test_missing_and_damaged_weights_are_named_before_the_work(weights, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = pathlib.Path(write(tmp_path / "w.safetensors")).read_bytes()
    pathlib.Path("cut.safetensors").write_bytes(whole[:-9])
    feature = SiftCrbnet(weights=weights)
    with pytest.raises(InputError, match=sentence) as stopped:
        check_parts({"feature": feature, "retrieval": Hloc("gone.h5")}, Store(tmp_path), str(tmp_path))
    assert len(stopped.value.problems) == 2
    with pytest.raises(InputError, match=sentence):
        feature.extract(blobs())


def test_workers_describe_alike(feature, scene, tmp_path):
    feature, found = dataclasses.replace(feature, max_keypoints=100), []
    for workers in (1, 2):
        bench = Workbench(Store(tmp_path / f"{workers}"), workers)
        found.append(extract_features(bench, feature, query_photos(scene)).features)
    assert found[0].key == found[1].key
    for name in scene.queries.names:
        np.testing.assert_array_equal(found[0][name].descriptors, found[1][name].descriptors)
