"""ALIKE keypoints and descriptors: a small network finds and describes them in one pass.

Zhao et al., "ALIKE: accurate and lightweight keypoint detection and descriptor extraction", IEEE Transactions on
Multimedia 2022.
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from localize.components import Thresholds, check_component, problems_of
from localize.io.pixels import resized
from localize.kernels.threads import torch_for_photos
from localize.keys import file_stamp
from localize.types import Features
from localize.weights.shipped import weights_file

HALF_PX = 0.5  # the network counts from the centre of the first pixel, we from its corner


@dataclass(frozen=True)
class Alike:
    """ALIKE-N: keypoints to a fraction of a pixel, best score first; 128-D descriptors of unit length, float16.

    Published: a threshold of 0.2, and 5000 keypoints at most. A photo's sides are filled up with black to multiples
    of 32 px, as published.
    """

    max_keypoints: int = 5000  # the ones of the highest scores are kept
    max_size_px: int = 1600  # larger photos are shrunk to this longer side; keypoints stay in original pixels
    threshold: float = 0.2  # of a keypoint's score, which lies between 0 and 1
    weights: str = "alike_n"  # the name of published ones, or the path of a file such as alike-n.pth

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "PIL")
    grey: ClassVar[bool] = False
    thresholds: ClassVar[Thresholds] = Thresholds(pair_ratio=0.95, point_ratio=0.97)  # of Minitown's training town

    def __post_init__(self):
        check_component(self, positive=("max_keypoints", "max_size_px"), shares=("threshold",))

    def preflight(self) -> list[str]:
        """What is missing, or no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the features; InputError if they are missing."""
        return [weights_file(self.weights, "feature.weights")]

    def extract(self, photo: np.ndarray) -> Features:
        """Features of a photo (H, W, 3) uint8 RGB; ValueError for another shape or type."""
        import torch  # takes a second: only where it is used

        from localize.networks.alike import MULTIPLE, detect

        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise ValueError(f"{photo.shape=} {photo.dtype=}, but ALIKE takes colours (H, W, 3) uint8")
        small, to_original = resized(photo, min(1.0, self.max_size_px / max(photo.shape[:2])))
        height, width = small.shape[:2]
        network = self._network()
        device = next(network.parameters()).device
        filled = np.zeros((-(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE, 3), np.uint8)
        filled[:height, :width] = small
        with torch.inference_mode(), torch_for_photos():
            images = torch.from_numpy(filled).to(device).permute(2, 0, 1)[None].float()
            scores, maps = network(images)
            xy, found = detect(scores[0, :height, :width], self.threshold, self.max_keypoints)
            descriptors = network.descriptors(maps, xy, filled.shape[:2]).cpu().numpy()
        xy, found = xy.cpu().numpy(), found.cpu().numpy()
        return Features((xy + HALF_PX) * to_original, descriptors.astype(np.float16), found)

    def _network(self):
        (path,) = self.files()
        return _load(path, file_stamp(path))


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _load(path: str, stamp: tuple | None):
    import torch

    from localize.networks.alike import Alike as Network
    from localize.networks.inference import device_for
    from localize.weights.tensors import filled, read_tensors

    network = filled(Network(), read_tensors(path)[0], path, "ALIKE-N, such as alike-n.pth")
    return network.eval().to(device_for(), memory_format=torch.channels_last)  # 1.6 times as fast on a CPU
