"""D2-Net: one map of a network is detector and descriptor (Dusmanu et al., CVPR 2019), on VGG16 and other backbones."""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image

from localize.components import Thresholds, check_component, problems_of
from localize.kernels.threads import torch_for_photos
from localize.keys import file_stamp
from localize.types import Features, InputError
from localize.weights.shipped import weights_file

WEIGHTS = {"vgg16": "d2_tf", "resnet50v2": "resnet50v2", "small": "d2_small"}  # what None means, by backbone
PREPROCESSING = ("caffe", "torch")
STAGES = (1, 2, 3)
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class D2Net:
    """Keypoints of D2 with descriptors of unit length, float16: 512-D of vgg16 and stage 2 of resnet50v2, 128-D of
    small.

    `Features.scales` is one cell of the map in px of the photo: D2 itself knows only the level of the pyramid.
    """

    backbone: str = "vgg16"  # resnet50v2, small
    weights: str | None = None  # name or path; None: d2_tf, resnet50v2 or d2_small, as the backbone
    scales: tuple = (1.0,)  # of the levels of the pyramid, in this order
    max_keypoints: int | None = None  # the ones of the highest scores; None: all
    max_edge_px: int = 1600  # of the longer side; larger photos are shrunk, keypoints stay in original pixels
    max_sum_edges_px: int = 2800  # of both sides together
    edge_threshold: float = 5.0  # largest ratio of the principal curvatures
    center_fix: bool = False  # vgg16: False puts keypoints where the authors' code does, 2 px too far up and left
    preprocessing: str = "caffe"  # vgg16: caffe for the published weights; torch
    relu: bool = True  # after the last convolution of vgg16 and small
    stage: int = 2  # resnet50v2: the last one; 256, 512 or 1024 channels
    dense: bool = True  # resnet50v2: half the stride of that stage, by dilation

    precision: str = "float32"  # bfloat16 is twice as fast, and moves or loses some keypoints

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "PIL")
    grey: ClassVar[bool] = False
    # its cells are 4 px; the rest was chosen on Minitown's training town: with so many loose matches, a pose
    # must rest on more inliers
    thresholds: ClassVar[Thresholds] = Thresholds(pair_ratio=0.95, point_ratio=0.97, min_inliers=20, keypoint_px=2.0)

    def __post_init__(self):
        positive = ("max_keypoints", "max_edge_px", "max_sum_edges_px", "edge_threshold")
        choices = {"backbone": tuple(WEIGHTS), "preprocessing": PREPROCESSING, "stage": STAGES}
        choices["precision"] = PRECISIONS
        check_component(self, positive=positive, choices=choices)
        if not self.scales or not all(isinstance(s, int | float) and 0 < s <= 8 for s in self.scales):
            raise InputError(
                f"{type(self).__name__}.scales is {self.scales!r}, but must be numbers greater than 0, up to 8"
            )
        object.__setattr__(self, "scales", tuple(float(s) for s in self.scales))

    def preflight(self) -> list[str]:
        """What is missing, or no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the features; InputError if they are missing."""
        from localize.weights.d2 import trunk_of  # torch takes a second to import: only where it is used

        setting = "feature.weights", ", or take feature=sift"
        path = weights_file(self.weights or WEIGHTS[self.backbone], *setting)
        trunk = trunk_of(path) if self.backbone == "small" else None
        return [path] if trunk is None else [path, weights_file(trunk, *setting)]

    def extract(self, photo: np.ndarray) -> Features:
        """Features of a photo (H, W, 3) RGB or (H, W) grey, uint8; ValueError for another shape or type."""
        import torch

        from localize.networks.d2_pyramid import find

        if photo.dtype != np.uint8 or photo.ndim not in (2, 3) or photo.shape[2:] not in ((), (3,)):
            raise ValueError(f"{photo.shape=} {photo.dtype=}, but D2-Net takes colours (H, W, 3) uint8")
        if photo.ndim == 2:
            photo = np.repeat(photo[:, :, None], 3, axis=2)
        small = shrunk(photo, self.max_edge_px, self.max_sum_edges_px)
        to_original = np.array([photo.shape[1] / small.shape[1], photo.shape[0] / small.shape[0]])
        network = self._network()
        device = next(network.parameters()).device
        image = torch.tensor(small, device=device).permute(2, 0, 1).float()
        how = {"edge_threshold": self.edge_threshold, "precision": self.precision}
        how["exact"] = self.backbone != "vgg16" or self.center_fix
        with torch_for_photos():
            found = find(network, image, self.scales, **how)
        scores = found.scores.cpu().numpy()
        rows = np.sort(np.argsort(-scores, kind="stable")[: self.max_keypoints])
        xy = (found.xy_px.cpu().numpy()[rows] + 0.5) * to_original  # from the first pixel's centre to its corner
        scales = found.scales.cpu().numpy()[rows] * network.stride * to_original.mean()
        descriptors = found.descriptors[torch.from_numpy(rows).to(device)].half().cpu().numpy()
        return Features(xy.astype(np.float32), descriptors, scores[rows], scales.astype(np.float32))

    def _network(self):
        files = tuple(self.files())
        settings = self.preprocessing, self.relu, self.center_fix, self.stage, self.dense
        return _load(files, tuple(map(file_stamp, files)), self.backbone, settings)


@dataclass(frozen=True)
class D2NetMultiscale(D2Net):
    """Three levels: more keypoints under changes of scale, six times the work."""

    scales: tuple = (0.5, 1.0, 2.0)

    GPU_MB: ClassVar[int] = 16_000  # of a process's network: four times one level's, as the photo is enlarged


def shrunk(photo: np.ndarray, max_edge_px: int, max_sum_edges_px: int) -> np.ndarray:
    """The photo (H, W, 3) within both limits, one bilinear resize for each, sizes rounded down.

    The authors' code (extract_features.py) without the change of contrast that its second resize brings.
    """
    for limit, length in ((max_edge_px, max), (max_sum_edges_px, sum)):
        height, width = photo.shape[:2]
        factor = limit / length((height, width))
        if factor < 1:
            size = max(1, int(width * factor)), max(1, int(height * factor))
            photo = np.asarray(PIL.Image.fromarray(photo).resize(size, PIL.Image.Resampling.BILINEAR))
    return photo


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _load(files: tuple, stamps: tuple, backbone: str, settings: tuple):
    import torch

    from localize.networks.inference import device_for
    from localize.weights.d2 import load_d2
    from localize.weights.trunk import load_trunk

    names = "preprocessing", "relu", "center_fix", "stage", "dense"
    network = load_d2(files[0], backbone, *files[1:], **dict(zip(names, settings, strict=True)))
    if backbone == "small":
        network.trunk = load_trunk(files[-1])
    return network.to(device_for(), memory_format=torch.channels_last)
