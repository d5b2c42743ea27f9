"""The package's own compact global descriptor: a small trained network that comes along, so nothing is downloaded."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import check_component, problems_of
from localize.kernels.area import shrunk_by_area
from localize.kernels.threads import torch_for_photos
from localize.keys import file_stamp
from localize.retrieval import photo_network as net
from localize.retrieval.base import NothingLearned
from localize.weights.shipped import shipped_names, weights_file

SCALES = (1.0, 0.7071, 0.5)  # of multi_scale


@dataclass(frozen=True)
class Compact:
    """256 values of unit length, from the pixels alone; the references teach it nothing.

    Precision `auto` has one key on all machines, so that a map made on one is used on another.
    """

    weights: str = "compact"  # the name of shipped ones, or the path of a .safetensors file
    max_edge_px: int = 256  # larger photos are shrunk to this longer side
    multi_scale: bool = False  # the mean over three sizes, 1, 0.7 and 0.5 times this one
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "scipy")
    needs: ClassVar[str] = "pixels"

    def __post_init__(self):
        check_component(self, positive=("max_edge_px",), choices={"precision": net.PRECISIONS})

    def preflight(self) -> list[str]:
        """What is missing, or no weights. Those that ship are not opened: importing torch for it takes seconds."""
        return problems_of(self.files if self.weights in shipped_names() else self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the descriptors; InputError if they are missing."""
        return [weights_file(self.weights, net.SETTING, net.OTHERWISE)]

    def fit(self, photos: Sequence[np.ndarray]) -> NothingLearned:
        """Nothing."""
        return NothingLearned()

    def describe(self, photo: np.ndarray, learned: NothingLearned) -> np.ndarray:
        """(256,) float32 of unit length of a photo (H, W, 3) uint8 RGB or (H, W) grey; zeros if it has no pixels."""
        from localize.networks.compact import DIM, described  # torch takes a second to import: only where it is used

        if not photo.size:
            return np.zeros(DIM, np.float32)
        if photo.ndim == 2:
            photo = np.repeat(photo[..., None], 3, 2)
        network = self._network()
        with torch_for_photos():
            return described(network, shrunk_by_area(photo, self.max_edge_px), SCALES if self.multi_scale else (1.0,))

    def _network(self):
        (path,) = self.files()
        return _load(path, file_stamp(path), self.precision)


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _load(path: str, stamp: tuple | None, precision: str):
    from localize.networks.photo_maps import prepared
    from localize.weights.compact import load_compact

    return prepared(load_compact(path), precision)
