"""What global descriptors of pixels share: which weights, the network in memory, the maps of a photo."""

import functools

import numpy as np

from localize.kernels.area import shrunk_by_area
from localize.kernels.threads import torch_for_photos
from localize.keys import file_stamp
from localize.types import InputError
from localize.weights.shipped import weights_file

PREPROCESSING = ("caffe", "torch")
PRECISIONS = ("auto", "float32", "bfloat16")
STAGES = (1, 2, 3)
SETTING = "retrieval.weights"
OTHERWISE = ", or take retrieval=compact"


def weights_of(component, by_backbone: dict[str, str], setting: str = SETTING, otherwise: str = OTHERWISE) -> str:
    """Path of a component's weights; None means the ones of its backbone.

    InputError if they are missing: what to give as `setting`, and what to do otherwise.
    """
    return weights_file(component.weights or by_backbone[component.backbone], setting, otherwise)


def backbone_settings(component, *, relu: bool) -> tuple:
    """What its class takes beside the weights, as a tuple of pairs."""
    by_name = {
        "vgg16": {"preprocessing": component.preprocessing, "relu": relu},
        "resnet50v2": {"stage": component.stage},
    }
    return tuple(by_name.get(component.backbone, {}).items())


def backbone_network(path: str, backbone: str, settings: tuple, precision: str):
    """A backbone ready for photos, loaded once per process; a replaced file is loaded again."""
    return _backbone(path, file_stamp(path), backbone, settings, precision)


@functools.lru_cache(maxsize=2)
def _backbone(path: str, stamp: tuple | None, backbone: str, settings: tuple, precision: str):
    from localize.networks.photo_maps import prepared
    from localize.weights.backbones import load_backbone  # torch takes a second to import: only where it is used

    return prepared(load_backbone(backbone, path, **dict(settings)), precision)


def maps_of(network, photo: np.ndarray, max_edge_px: int, scales: tuple[float, ...] = (1.0,)) -> list:
    """Maps (1, C, h, w) of a photo at each scale, by one thread inside a stage.

    ValueError for anything but (H, W, 3) uint8.
    """
    from localize.networks.photo_maps import photo_maps

    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"{photo.shape=} {photo.dtype=}, but expected RGB (H, W, 3) uint8")
    with torch_for_photos():
        return photo_maps(network, shrunk_by_area(photo, max_edge_px), scales)


def check_scales(component, most: int = 1) -> None:
    """Whole numbers among a component's scales become floats; InputError for scales that cannot be."""
    scales = component.scales
    if not scales or not all(isinstance(s, int | float) and 0 < s <= most for s in scales):
        name = type(component).__name__
        raise InputError(f"{name}.scales is {scales!r}, but must be numbers greater than 0 and at most {most}")
    object.__setattr__(component, "scales", tuple(float(s) for s in scales))


def evenly(length: int, number: int) -> list[int]:
    """At most this many of so many rows, spread evenly."""
    return np.unique(np.linspace(0, length - 1, min(length, number)).round().astype(int)).tolist()
