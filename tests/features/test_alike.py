"""ALIKE against a slow twin written from its description, and what a feature must do. Weights are random."""

import numpy as np
import pytest
import torch
from torch import nn

from localize.features.alike import Alike
from localize.io.images import read_photo
from localize.networks.alike import Alike as Network
from localize.networks.alike import detect
from localize.types import InputError
from tests.conftest import SHARED
from tests.generated_photos import textured


def random_network(seed: int = 0) -> Network:
    """Random weights, and batch norms that do something; the scores spread around the threshold."""
    torch.manual_seed(seed)
    network = Network()
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                for values, low, high in ((norm.weight, 0.7, 1.3), (norm.running_var, 0.05, 0.2)):
                    values.uniform_(low, high)
                norm.bias.uniform_(-0.1, 0.1)
                norm.running_mean.uniform_(-0.1, 0.1)
        network.convhead2.weight.mul_(2)
    return network.eval()


@pytest.fixture(scope="module")
def feature(tmp_path_factory) -> Alike:
    path = tmp_path_factory.mktemp("weights") / "alike.pth"
    torch.save(random_network().state_dict(), path)
    return Alike(weights=str(path))


def convolved(x, weight, bias=None):
    """(O, H, W) of (C, H, W), zeros around."""
    side = weight.shape[2]
    x = np.pad(x, [(0, 0), (side // 2,) * 2, (side // 2,) * 2])
    out = np.tensordot(
        weight, np.lib.stride_tricks.sliding_window_view(x, (side, side), (1, 2)), ([1, 2, 3], [0, 3, 4])
    )
    return out if bias is None else out + bias[:, None, None]


def pooled(x, side):
    c, h, w = x.shape
    return x.reshape(c, h // side, side, w // side, side).max((2, 4))


def block(s, name, x):
    def normed(y, bn):
        mean, var, weight, bias = (s[f"{name}.{bn}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        scale = weight / np.sqrt(var + 1e-5)
        return (y - mean[:, None, None]) * scale[:, None, None] + bias[:, None, None]

    y = np.maximum(normed(convolved(x, s[f"{name}.conv1.weight"]), "bn1"), 0)
    y = normed(convolved(y, s[f"{name}.conv2.weight"]), "bn2")
    if f"{name}.downsample.weight" in s:
        y = y + convolved(x, s[f"{name}.downsample.weight"], s[f"{name}.downsample.bias"])
    return np.maximum(y, 0)


def enlarged(x, height, width):
    """Bilinear, the corners' centres upon each other."""
    for axis, size in ((1, height), (2, width)):
        at = np.arange(size) * (x.shape[axis] - 1) / (size - 1)
        low = np.minimum(at.astype(int), x.shape[axis] - 2)
        share = (at - low).reshape([-1 if k == axis else 1 for k in range(3)])
        x = x.take(low, axis) * (1 - share) + x.take(low + 1, axis) * share
    return x


def dense(network, photo):
    """The paper's full-resolution maps: scores (H, W) and unit descriptors (128, H, W)."""
    s = {k: v.double().numpy() for k, v in network.state_dict().items()}
    x, parts = photo.transpose(2, 0, 1) / 255.0, []
    height, width = photo.shape[:2]
    for i, pool in enumerate((1, 2, 4, 4), 1):
        x = block(s, f"block{i}", pooled(x, pool))
        part = np.maximum(convolved(x, s[f"conv{i}.weight"]), 0)
        parts.append(part if i == 1 else enlarged(part, height, width))
    out = convolved(np.concatenate(parts), s["convhead2.weight"])
    return 1 / (1 + np.exp(-out[-1])), out[:-1] / np.linalg.norm(out[:-1], axis=0)


def keypoints(scores, threshold):
    """Rows (x, y, score) by the words of the paper, best first."""
    found = []
    for y in range(2, scores.shape[0] - 2):
        for x in range(2, scores.shape[1] - 2):
            window = scores[y - 2 : y + 3, x - 2 : x + 3]
            if scores[y, x] <= threshold or scores[y, x] < window.max():
                continue
            share = np.exp(window / 0.1) / np.exp(window / 0.1).sum()
            dy, dx = np.mgrid[-2:3, -2:3]
            found.append((x + (share * dx).sum(), y + (share * dy).sum(), scores[y, x]))
    return np.array(sorted(found, key=lambda row: -row[2]))


def test_keypoints_and_descriptors_are_those_of_the_slow_twin():
    network, photo = random_network(), textured(0, (96, 64))
    scores, descriptors = dense(network, photo)
    with torch.inference_mode():
        fast, maps = network(torch.from_numpy(photo).permute(2, 0, 1)[None].float())
        threshold = float(np.median(scores))
        xy, best = detect(fast[0], threshold, 5000)
        described = network.descriptors(maps, xy, (64, 96)).numpy()
    np.testing.assert_allclose(fast[0], scores, atol=1e-5)
    slow = keypoints(scores, threshold)
    assert len(slow) > 20
    np.testing.assert_allclose(np.column_stack([xy, best]), slow, atol=1e-4)
    for (x, y, _), found in zip(slow, described, strict=True):
        c, r = int(x), int(y)
        around = [(r, c, (1 - y + r) * (1 - x + c)), (r, c + 1, (1 - y + r) * (x - c))]
        around += [(r + 1, c, (y - r) * (1 - x + c)), (r + 1, c + 1, (y - r) * (x - c))]
        mixed = sum(share * descriptors[:, i, j] for i, j, share in around)
        np.testing.assert_allclose(found, mixed / np.linalg.norm(mixed), atol=1e-5)


def test_a_peak_between_two_pixels_is_found_there():
    y, x = np.mgrid[:20, :30]
    scores = 0.9 - 0.1 * ((x - 12.3) ** 2 + (y - 8.6) ** 2) / (2 * 0.7**2)  # so that the softmax is a Gaussian
    xy, best = detect(torch.from_numpy(scores).float(), 0.2, 10)
    np.testing.assert_allclose(xy, [[12.3, 8.6]], atol=0.01)
    assert len(detect(torch.from_numpy(scores).float(), float(best[0]), 10)[0]) == 0


def test_contract(feature):
    photo = textured(1, (200, 150))  # no multiple of 32
    found, again = feature.extract(photo), feature.extract(photo)
    assert len(found) > 20
    np.testing.assert_array_equal(found.keypoints, again.keypoints)
    np.testing.assert_array_equal(found.descriptors, again.descriptors)
    np.testing.assert_allclose(np.linalg.norm(found.descriptors.astype(float), axis=1), 1, atol=2e-3)
    assert ((found.keypoints >= 2.0) & (found.keypoints <= (198, 148))).all()
    assert (np.diff(found.scores) <= 0).all()
    few = Alike(max_keypoints=7, weights=feature.weights).extract(photo)
    np.testing.assert_array_equal(few.keypoints, found.keypoints[:7])
    for nothing in (np.zeros((5, 5, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        assert len(feature.extract(nothing)) == 0
    with pytest.raises(ValueError, match="ALIKE takes colours"):
        feature.extract(photo[..., 0])


def test_keypoints_of_a_shrunk_photo_are_in_pixels_of_the_original(feature):
    photo = textured(2, (96, 64))
    large = np.repeat(np.repeat(photo, 4, 0), 4, 1)
    found = Alike(max_size_px=96, weights=feature.weights).extract(large).keypoints
    near = np.linalg.norm(found[:, None] - 4 * feature.extract(photo).keypoints, axis=2).min(1)
    assert np.median(near) < 0.5  # half a pixel of the small photo wrong is 2


def test_other_weights_are_refused_by_name(feature, tmp_path):
    state = random_network().state_dict()
    torch.save({**state, "conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth holds other tensors \(conv1\.weight\): give weights of ALIKE-N"):
        Alike(weights=str(tmp_path / "other.pth")).extract(textured(0))
    assert "is missing" in Alike(weights=str(tmp_path / "gone.pth")).preflight()[0]


def test_the_published_weights_match_real_photos():
    weights, folder = SHARED / "weights" / "alike-n.pth", SHARED / "data" / "hpatches_sequences" / "v_wormhole"
    if not weights.is_file() or not folder.is_dir():
        pytest.skip(f"the published weights or photos are not in {SHARED}")
    feature = Alike(max_keypoints=500, max_size_px=480, weights=str(weights))
    first, second = (feature.extract(read_photo(next(folder.glob(f"{k}.*")))) for k in (1, 2))
    near = first.descriptors.astype(np.float32) @ second.descriptors.astype(np.float32).T
    rows = np.flatnonzero(near.argmax(0)[near.argmax(1)] == np.arange(len(near)))
    moved = np.column_stack([first.keypoints[rows] - 0.5, np.ones(len(rows))]) @ np.loadtxt(folder / "H_1_2").T
    error = np.linalg.norm(moved[:, :2] / moved[:, 2:] + 0.5 - second.keypoints[near.argmax(1)[rows]], axis=1)
    assert len(rows) > 200
    assert (error < 3).mean() > 0.6  # 0.8 of them
