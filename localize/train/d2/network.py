"""Training D2: which layers learn, the batch of a step, and how well photos match on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import PIL.Image
import torch
from torch import nn

from localize.evaluate.mma import shares_within
from localize.io.images import read_photo
from localize.io.sequences import read_sequence
from localize.networks.d2 import D2VGG16
from localize.networks.d2_pyramid import find
from localize.networks.d2_small import D2Small
from localize.networks.vgg import VGG16
from localize.train.d2.pairs import TrainingPair, matching_cells
from localize.train.loop.machine import Machine
from localize.types import InputError

NETWORKS = ("small", "vgg16")
LAYERS = ("head", "all")
TRIES = 50  # pairs drawn in vain before the data are said to be of no use
WITHIN_PX = 3  # where a right match lies


def d2_training_network(network: str) -> nn.Module:
    """The network with random weights: RGB 0 to 255 to maps before the last ReLU; vgg16 has stride 8, no dilation."""
    return VGG16(pools=3) if network == "vgg16" else D2Small()


class Trained(nn.Module):
    """A network of which only the head learns (vgg16: conv4_3), or all; what does not keeps its batch statistics."""

    def __init__(self, network: nn.Module, layers: str):
        super().__init__()
        self.network = network
        parts = [network.features[:-1]] if isinstance(network, VGG16) else [network.trunk]
        self.frozen = parts if layers == "head" else []  # a plain list: no modules of this one
        for part in self.frozen:
            part.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, h, w)."""
        return self.network(images)

    def train(self, mode: bool = True) -> "Trained":
        """As of any module, but for the frozen parts."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self


class PairSource(Protocol):
    """Where pairs come from; `size` is the side of their crops in px."""

    size: int

    def pair(self, rng: np.random.Generator) -> TrainingPair | None:
        """One pair, None if this draw gave none."""


@dataclass(frozen=True, eq=False)
class D2Batch:
    """Images (2 P, 3, S, S) float32, first and then second ones, and the corresponding cells (2, M) of each pair."""

    images: torch.Tensor
    matches: list[torch.Tensor]
    step: int


class D2Batches:
    """The batch of a step: pairs of one source after the other, everything a function of seed and step."""

    def __init__(
        self,
        sources: Sequence[PairSource],
        shares: Sequence[float],
        network: nn.Module,
        *,
        pairs_per_step: int = 1,
        min_matches: int = 128,
        max_matches: int | None = None,
        seed: int = 0,
    ):
        """shares: how often each source is drawn, in any unit; pairs with fewer than `min_matches` corresponding cells
        are drawn again, of more than `max_matches` that many are taken at random."""
        self.sources, self.shares = sources, np.array(shares, float) / sum(shares)
        self.stride, self.offset = network.stride, network.offset
        self.pairs_per_step, self.seed = pairs_per_step, seed
        self.min_matches, self.max_matches = min_matches, max_matches

    def __call__(self, step: int, device: str = "cpu") -> D2Batch:
        """InputError if the sources give no pair that can be used."""
        drawn = [self._drawn(np.random.default_rng([self.seed, step, k])) for k in range(self.pairs_per_step)]
        images = np.stack([p.first for p, _ in drawn] + [p.second for p, _ in drawn]).transpose(0, 3, 1, 2)
        images = torch.from_numpy(images).to(device).float()
        return D2Batch(
            images.contiguous(memory_format=torch.channels_last),
            [torch.from_numpy(matches).to(device) for _, matches in drawn],
            step,
        )

    def _drawn(self, rng: np.random.Generator) -> tuple[TrainingPair, np.ndarray]:
        for _ in range(TRIES):
            pair = self.sources[rng.choice(len(self.sources), p=self.shares)].pair(rng)
            if pair is None:
                continue
            matches = matching_cells(pair, self.stride, self.offset)
            if matches.shape[1] >= self.min_matches:
                some = rng.permutation(matches.shape[1])[: self.max_matches]
                return pair, matches[:, np.sort(some)]
        raise InputError(
            f"{TRIES} pairs in a row had fewer than {self.min_matches} corresponding cells or photos smaller than a "
            "crop: give other photos, or a smaller pipeline.min_matches or pipeline.size"
        )


class Matching:
    """Mean matching accuracy on sequences of HPatches, as D2-Net's authors measure it, on shrunk photos.

    The share of mutual nearest neighbours (by the dot product) that lie within 3 px of where the homography puts them.
    """

    def __init__(self, folders: Sequence[str], *, edge_px: int = 480, max_keypoints: int = 1000):
        """edge_px: photos are shrunk to this longer side, and errors counted in their pixels; max_keypoints: of the
        highest scores. InputError if a folder is no sequence."""
        self.sequences, self.max_keypoints = [], max_keypoints
        for sequence in map(read_sequence, folders):
            photos, sizes = [], []
            for path in sequence.photos:
                picture = PIL.Image.fromarray(read_photo(path))
                before = picture.size
                picture.thumbnail((edge_px, edge_px), PIL.Image.Resampling.BOX)
                photos.append(torch.from_numpy(np.array(picture)).permute(2, 0, 1).float())
                sizes.append(np.diag([picture.size[0] / before[0], picture.size[1] / before[1], 1]))
            back = np.linalg.inv(sizes[0])
            moved = [size @ H @ back for size, H in zip(sizes, sequence.homographies, strict=True)]
            self.sequences.append((photos, moved))

    def __call__(self, module: Trained, machine: Machine) -> dict[str, float]:
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
