"""How well photos match by a network on its way: mean matching accuracy on sequences of HPatches."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from localize.evaluate.mma import shares_within
from localize.networks.d2 import D2VGG16
from localize.networks.d2_pyramid import find
from localize.networks.vgg import VGG16
from localize.train.d2.network import D2Training
from localize.train.loop.machine import Machine
from localize.train.photos.sequences import shrunk_sequence

WITHIN_PX = 3  # where a right match lies


class MatchingAccuracy:
    """Mean matching accuracy on sequences of HPatches, as D2-Net's authors measure it, on shrunk photos.

    The share of mutual nearest neighbours (by the dot product) that lie within 3 px of where the homography puts them.
    """

    def __init__(self, folders: Sequence[str], *, edge_px: int = 480, max_keypoints: int = 1000):
        """edge_px: photos are shrunk to this longer side, and errors counted in their pixels; max_keypoints: of the
        highest scores. InputError if a folder is no sequence."""
        self.sequences, self.max_keypoints = [], max_keypoints
        for folder in folders:
            photos, homographies = shrunk_sequence(folder, edge_px)
            self.sequences.append(([torch.from_numpy(p).permute(2, 0, 1).float() for p in photos], homographies))

    def __call__(self, module: D2Training, machine: Machine) -> dict[str, float]:
        """mma: in percent, the mean over the pairs; matches: their mean number. In float32."""
        with torch.autocast(machine.device, enabled=False):
            network = _test_network(module.network).to(machine.device)
            shares, counts = [], []
            for photos, homographies in self.sequences:
                found = [self._described(network, p.to(machine.device)) for p in photos]
                for (xy, descriptors), homography in zip(found[1:], homographies[1:], strict=True):
                    rows = mutual_nearest(found[0][1], descriptors)
                    places = found[0][0][rows[0]] + 0.5, xy[rows[1]] + 0.5
                    shares.append(shares_within(*places, homography)[WITHIN_PX - 1])
                    counts.append(rows.shape[1])
        return {"mma": 100 * float(np.mean(shares)), "matches": float(np.mean(counts))}

    def _described(self, network: nn.Module, image: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
        found = find(network, image)
        best = found.scores.argsort(descending=True, stable=True)[: self.max_keypoints]
        return found.xy_px[best].cpu().numpy(), found.descriptors[best]


def mutual_nearest(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """(2, M) rows of unit vectors (N, D) and (N', D) that are each other's nearest."""
    if not len(first) or not len(second):
        return np.zeros((2, 0), np.int64)
    products = first @ second.T
    there, back = products.argmax(1), products.argmax(0)
    rows = torch.arange(len(first), device=first.device)
    mutual = back[there] == rows
    return torch.stack([rows[mutual], there[mutual]]).cpu().numpy()


def _test_network(network: nn.Module) -> nn.Module:
    """The network that detection runs: vgg16's with a denser map and the right positions."""
    if not isinstance(network, VGG16):
        return network
    test = D2VGG16(relu=True, center_fix=True)
    own = network.features.state_dict()
    test.load_state_dict({f"dense_feature_extraction.model.{name}": t for name, t in own.items()})
    return test.eval()
