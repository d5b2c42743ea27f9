"""The networks of D2 features from files of weights: the authors' checkpoints, VGG16, ResNet-50 v2, and our own."""

import pathlib

from safetensors import SafetensorError, safe_open
from torch import nn

from localize.networks.d2 import d2_network
from localize.networks.resnet_v2 import ResNet50V2
from localize.types import InputError
from localize.weights.backbones import fill_backbone
from localize.weights.tensors import filled, read_tensors, tensors_digest
from localize.weights.trunk import trunk_tensors

OFFICIAL = "dense_feature_extraction.model."
VGG = "features."  # torchvision's, of which D2-Net's training starts


def load_d2(path: str | pathlib.Path, backbone: str, trunk: str | pathlib.Path | None = None, **settings) -> nn.Module:
    """The network, in eval mode, float32, on the CPU; settings as `d2_network` takes them.

    vgg16: a checkpoint of D2-Net, or VGG16 as torchvision names its layers; resnet50v2: GluonCV's names; small: what
    +pipeline=train_d2 wrote, with the trunk's tensors from the file `trunk` if it has none of its own.
    InputError if the file is missing, cut off, or of another network.
    """
    network = d2_network(backbone, **settings)
    tensors, metadata = read_tensors(path)
    tensors = tensors.get("model", tensors)
    if not isinstance(tensors, dict):
        raise InputError(f"{path} holds no weights by name under `model`: give others as feature.weights")
    if isinstance(network, ResNet50V2):
        fill_backbone(network, backbone, tensors, path)
        return network.eval()
    if backbone == "vgg16" and not any(name.startswith(OFFICIAL) for name in tensors):
        tensors = {OFFICIAL + name.removeprefix(VGG): t for name, t in tensors.items() if name.startswith(VGG)}
    if trunk is not None:
        tensors = tensors | _trunk(trunk, path, metadata)
    what = f"backbone {backbone}, or take the feature.backbone they are of"
    return filled(network, tensors, path, what, and_others=True).eval()


def _trunk(trunk: str | pathlib.Path, head: str | pathlib.Path, metadata: dict[str, str]) -> dict:
    """The trunk's tensors; InputError if the head was trained on another one: its keypoints would be noise."""
    tensors = trunk_tensors(trunk)
    if metadata.get("trunk weights", digest := tensors_digest(tensors)) != digest:
        raise InputError(f"{head} was trained on another trunk than {trunk} holds now: train it again, or give its own")
    return tensors


def trunk_of(path: str | pathlib.Path) -> str | None:
    """The name of the weights that hold the trunk of a head kept without it; None if the file is whole."""
    if pathlib.Path(path).suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "np") as file:
            return (file.metadata() or {}).get("trunk")
    except (SafetensorError, OSError) as e:
        raise InputError(f"{path} is missing, cut off or no weights file ({e}): get it again") from e
