"""HOW: the places of a network's maps at several scales, weighted by their attention, in one short vector."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from localize.components import check_component, problems_of
from localize.kernels.threads import torch_for_photos
from localize.kernels.whitening import streamed_whitening
from localize.keys import file_stamp
from localize.retrieval import photo_network as net
from localize.retrieval.base import NothingLearned
from localize.types import InputError
from localize.weights.shipped import weights_file

if TYPE_CHECKING:
    from localize.networks.how import How as Network

WEIGHTS = {"resnet50v2": "resnet50v2", "compact": "compact", "small": "compact", "vgg16": "vgg16_caffe"}
OF_NETWORK = ("backbone", "stage", "preprocessing", "smoothing", "side", "dim", "pooling")  # said by trained weights
UNTRAINED = ("none", "average")  # smoothings that nothing has to be trained for
POOLINGS = ("how", "gem")
SCALES = (2.0, 1.414, 1.0, 0.707, 0.5, 0.353, 0.25)  # of HOW's local features
MAX_SCALE = 4


@dataclass(frozen=True, eq=False)
class Reduction:
    """The whitening of local features, or of what GeM pooled: mean (C,) and projection (dim, C)."""

    mean: np.ndarray
    projection: np.ndarray


@dataclass(frozen=True)
class How:
    """(dim,) of unit length: the sum of reduced local features times their attention (Tolias et al., ECCV 2020).

    Weights that +pipeline=train_spatial wrote say which network it is; those of a backbone alone get a reduction that
    is learned from the references. A field that is None is as the weights say or, of a backbone alone, the default.
    """

    weights: str | None = None  # name or path; None: those of the backbone
    backbone: str | None = None  # resnet50v2 (default), compact, small, vgg16
    stage: int | None = None  # resnet50v2: the last one; 3 (default), 2 or 1
    preprocessing: str | None = None  # vgg16: what its weights were trained with; caffe (default), torch
    smoothing: str | None = None  # average (default), none; learned by trained weights only
    side: int | None = None  # places along the side of what is smoothed over; 3
    dim: int | None = None  # values; 128, fewer of a backbone with fewer channels
    pooling: str | None = None  # how (default), gem
    scales: tuple = (1.0,)  # SCALES are HOW's of local features; eight times the work
    max_edge_px: int = 1024  # larger photos are shrunk by area
    num_photos: int = 1000  # references that a reduction is learned from, spread evenly
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "scipy")
    needs: ClassVar[str] = "pixels"

    def __post_init__(self):
        choices = {"backbone": tuple(WEIGHTS), "stage": net.STAGES, "preprocessing": net.PREPROCESSING}
        choices |= {"smoothing": (*UNTRAINED, "learned"), "pooling": POOLINGS}
        choices = {name: (None, *valid) for name, valid in choices.items()} | {"precision": net.PRECISIONS}
        check_component(self, positive=("side", "dim", "max_edge_px", "num_photos"), choices=choices)
        if self.side and self.side % 2 == 0:
            raise InputError(f"How.side is {self.side}, but must be odd, such as 3 or 5")
        net.check_scales(self, MAX_SCALE)

    def preflight(self) -> list[str]:
        """What is missing, does not fit, or is no weights."""
        return problems_of(self.network)

    def files(self) -> list[str]:
        """The weights, whose content decides the descriptor; InputError if they are missing."""
        return [self.weights_file(net.SETTING, net.OTHERWISE)]

    def weights_file(self, setting: str, otherwise: str) -> str:
        """Path of the weights; InputError if they are missing, saying what to give as `setting` and what to do else."""
        return weights_file(self.weights or WEIGHTS[self.backbone or "resnet50v2"], setting, otherwise)

    def fit(self, photos: Sequence[np.ndarray]) -> Reduction | NothingLearned:
        """The reduction, as HOW's: PCA whitening of smoothed features at scale 1; nothing with trained weights."""
        network, trained = self.network()
        if trained:
            return NothingLearned()
        seen = (self._unreduced(network, photos[i]) for i in net.evenly(len(photos), self.num_photos))
        return Reduction(*streamed_whitening(seen, network.backbone.channels, network.settings.dim))

    def describe(self, photo: np.ndarray, learned: Reduction | NothingLearned) -> np.ndarray:
        """(dim,) float32 of unit length of an RGB photo (H, W, 3) uint8; ValueError for another."""
        import torch

        network = self.ready(learned)
        maps = net.maps_of(network.backbone, photo, self.max_edge_px, self.scales)
        with torch.inference_mode(), torch_for_photos():
            return network.from_maps(*maps)[0].cpu().numpy()

    def local_features(
        self, photo: np.ndarray, learned: Reduction | NothingLearned, number: int, scales: tuple[float, ...]
    ) -> np.ndarray:
        """(N, dim) float32: the reduced features of a photo at these scales, the `number` with the most attention."""
        import torch

        network = self.ready(learned)
        maps = net.maps_of(network.backbone, photo, self.max_edge_px, scales)
        with torch.inference_mode(), torch_for_photos():
            attention, features, _ = (torch.cat(of, 1)[0] for of in zip(*map(network.local, maps), strict=True))
            best = attention.argsort(descending=True, stable=True)[:number]
            return features[best].cpu().numpy()

    def context(self, photo: np.ndarray) -> dict[str, np.ndarray]:
        """Attention, as a share of the largest, bandwidth and self-confidence: maps (h, w) float32 by name.

        Of an RGB photo (H, W, 3) uint8 at scale 1; InputError for weights without learned smoothing.
        """
        import torch

        network, _ = self.network()
        if network.settings.smoothing != "learned":
            raise InputError(f"{self.files()[0]} has smoothing {network.settings.smoothing}: nothing of it was learned")
        maps = net.maps_of(network.backbone, photo, self.max_edge_px)[0]
        with torch.inference_mode(), torch_for_photos():
            _, attention = network.smoothed(maps)
            bandwidth, confidence = network.smoothing.weights_of(network.second_order(maps))
            found = {"attention": attention / attention.max(), "bandwidth": bandwidth, "self-confidence": confidence}
            return {name: of[0].cpu().numpy() for name, of in found.items()}

    def ready(self, learned: Reduction | NothingLearned) -> "Network":
        """The network with its reduction."""
        import torch

        network, trained = self.network()
        if trained:
            return network
        with torch.no_grad():
            return network.whitened_by(*(torch.tensor(of) for of in (learned.mean, learned.projection)))

    def network(self) -> tuple["Network", bool]:
        """(the network, its backbone ready for photos, and whether the weights hold all of it)."""
        (path,) = self.files()
        chosen = {name: getattr(self, name) for name in OF_NETWORK if getattr(self, name) is not None}
        return _load(path, file_stamp(path), tuple(chosen.items()), self.precision)

    def _unreduced(self, network: "Network", photo: np.ndarray) -> np.ndarray:
        """(N, C): what the reduction sees of a photo: each place of scale 1, or the one vector that GeM pooled."""
        import torch

        gem = network.settings.pooling == "gem"
        maps = net.maps_of(network.backbone, photo, self.max_edge_px, self.scales if gem else (1.0,))
        with torch.inference_mode(), torch_for_photos():
            found = network.pooled(*maps) if gem else network.smoothed(maps[0])[0][0].flatten(1).T
            return found.cpu().numpy()


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _load(path: str, stamp: tuple | None, chosen: tuple, precision: str) -> tuple["Network", bool]:
    from localize.networks.photo_maps import prepared
    from localize.weights.how import load_how, settings_of

    settings = settings_of(path)
    if settings is None:
        network = _untrained(path, dict(chosen))
    else:
        other = [f"{name} {getattr(settings, name)!r}, not {v!r}" for name, v in chosen if getattr(settings, name) != v]
        if other:
            raise InputError(f"{path} was trained with {', '.join(other)}: leave these out, or give other weights")
        network = load_how(path)
    network.backbone = prepared(network.backbone, precision)
    return network.to(next(network.backbone.parameters()).device), settings is not None


def _untrained(path: str, chosen: dict) -> "Network":
    """A network on the weights of a backbone alone."""
    from localize.networks.how import How as Network
    from localize.networks.how import HowSettings
    from localize.weights.backbones import load_backbone

    if chosen.get("smoothing") == "learned":
        raise InputError(f"{path} is of a backbone alone: learned smoothing needs weights of +pipeline=train_spatial")
    settings = HowSettings(**chosen)
    backbone = load_backbone(settings.backbone, path, **settings.of_backbone())
    settings = replace(settings, dim=min(settings.dim, backbone.channels))
    return Network(backbone, settings).eval().requires_grad_(False)
