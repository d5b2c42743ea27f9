"""One pooled vector of a network's map: GeM, MAC, SPoC or R-MAC, at several scales, whitened as pairs taught."""

import functools
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, problems_of
from localize.kernels.whitening import whitened
from localize.keys import file_stamp
from localize.retrieval import photo_network as net
from localize.retrieval.base import NothingLearned
from localize.types import InputError
from localize.weights.whitening import read_whitening

WEIGHTS = {"resnet50v2": "resnet50v2", "vgg16": "vgg16_caffe", "small": "compact"}  # what None means, by backbone
POOLINGS = ("gem", "mac", "spoc", "rmac")
UNLIKE = ("whitening", "dim", "precision")  # settings in which a whitening and its user may differ


@dataclass(frozen=True)
class Gem:
    """(C,) of unit length: the generalised mean of a map's channels (Radenovic, Tolias & Chum, TPAMI 2019)."""

    backbone: str = "resnet50v2"  # vgg16, small
    weights: str | None = None  # name or path; None: resnet50v2, vgg16_caffe or compact, as the backbone
    pooling: str = "gem"  # mac, spoc, rmac
    power: float = 3.0  # of gem: 1 is the mean, more is nearer to the maximum
    scales: tuple = (1.0,)  # the paper's: 1, 0.7071, 0.5; about 1.8 times the work
    max_edge_px: int = 1024  # larger photos are shrunk by area
    whitening: str | None = None  # path of what +pipeline=learn_whitening wrote for the same settings
    dim: int | None = None  # components of the whitening that are kept; None: all
    stage: int = 3  # resnet50v2: the last one; 256, 512 or 1024 channels
    preprocessing: str = "caffe"  # vgg16: what its weights were trained with; torch
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "scipy")
    needs: ClassVar[str] = "pixels"

    def __post_init__(self):
        choices = {"backbone": tuple(WEIGHTS), "pooling": POOLINGS, "stage": net.STAGES}
        choices |= {"preprocessing": net.PREPROCESSING, "precision": net.PRECISIONS}
        check_component(self, positive=("power", "max_edge_px", "dim"), choices=choices)
        net.check_scales(self)
        if self.dim and not self.whitening:
            raise InputError("Gem.dim keeps the first components of a whitening: give retrieval.whitening too")

    def preflight(self) -> list[str]:
        """What is missing, does not fit, or is no weights."""
        return problems_of(self._network) + (problems_of(self._whitening) if self.whitening else [])

    def files(self) -> list[str]:
        """The weights and the whitening, whose content decides the descriptor; InputError if they are missing."""
        return [net.weights_of(self, WEIGHTS)] + ([self.whitening] if self.whitening else [])

    def made_with(self) -> str:
        """The settings and weights that a whitening belongs to, as text."""
        fields = {k: v for k, v in vars(self).items() if k not in UNLIKE}
        return json.dumps({**fields, "weights": self.weights or WEIGHTS[self.backbone]})

    def fit(self, photos) -> NothingLearned:
        """No photo is looked at."""
        return NothingLearned()

    def describe(self, photo: np.ndarray, learned: NothingLearned) -> np.ndarray:
        """(C,) or (dim,) float32 of unit length of an RGB photo (H, W, 3) uint8; ValueError for another."""
        import torch  # takes a second: only where it is used

        from localize.networks.pooling import over_scales, pooled

        maps = net.maps_of(self._network(), photo, self.max_edge_px, self.scales)
        power = self.power if self.pooling == "gem" else 1.0
        vectors = torch.cat([pooled(level, self.pooling, self.power) for level in maps])
        vector = over_scales(vectors, power).cpu().numpy()
        if self.whitening:
            vector = whitened(vector[None], *self._whitening(), self.dim)[0]
        return vector / max(np.linalg.norm(vector), 1e-12)

    def _network(self):
        settings = net.backbone_settings(self, relu=True)
        return net.backbone_network(net.weights_of(self, WEIGHTS), self.backbone, settings, self.precision)

    def _whitening(self) -> tuple[np.ndarray, np.ndarray]:
        return _whitening(self.whitening, file_stamp(self.whitening), self.made_with())


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _whitening(path: str, stamp: tuple | None, made_with: str) -> tuple[np.ndarray, np.ndarray]:
    mean, projection, theirs = read_whitening(path)
    ours, theirs = json.loads(made_with), json.loads(theirs)
    other = [f"{k} {theirs.get(k)!r}, not {v!r}" for k, v in ours.items() if theirs.get(k) != v]
    if other:
        raise InputError(f"{path} was learned with {', '.join(other)}: learn it again, or change retrieval=gem")
    return mean, projection
