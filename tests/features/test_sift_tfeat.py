"""SIFT keypoints with TFeat descriptors: the network alone on the patches gives the same. Weights are random."""

import numpy as np
import pytest
import torch

from localize.features.sift import Sift
from localize.features.sift_tfeat import SiftTfeat
from localize.kernels.patches import extract_patches
from localize.networks.patches import TFeat
from tests.contracts.test_features import blobs, check_local_feature


@pytest.fixture(scope="module")
def feature(tmp_path_factory) -> SiftTfeat:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tfeat.params"
    torch.save(TFeat().state_dict(), path)
    return SiftTfeat(weights=str(path), max_keypoints=200)


def test_contract(feature):
    check_local_feature(feature)


def test_descriptors_are_the_networks_at_unit_length(feature):
    photo = blobs()
    sift, found = Sift(max_keypoints=200).extract(photo), feature.extract(photo)
    np.testing.assert_array_equal(found.keypoints, sift.keypoints)
    patches, _ = extract_patches(
        photo, sift.keypoints, sift.scales, sift.orientations, coefficient=12.0, boundary="replicate"
    )
    network = TFeat()
    network.load_state_dict(torch.load(feature.weights, weights_only=True))
    with torch.inference_mode():
        slow = torch.stack([network(torch.from_numpy(p)[None, None])[0] for p in patches]).numpy()
    np.testing.assert_allclose(found.descriptors, slow / np.linalg.norm(slow, axis=1, keepdims=True), atol=1e-3)
    at = feature.describe_at(photo, sift.keypoints, sift.scales, sift.orientations)
    np.testing.assert_array_equal(at.descriptors, found.descriptors)


def test_weights_of_something_else_are_named_before_the_work(tmp_path):
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.params")
    assert "give weights of TFeat" in SiftTfeat(weights=str(tmp_path / "other.params")).preflight()[0]
