"""Backbones with weights from files: VGG16 and ResNet-50 v2 as others name their layers, and our own."""

import pathlib

from torch import nn

from localize.networks.backbones import backbone
from localize.types import InputError
from localize.weights.tensors import check_numbers, read_tensors

PREFIXES = {  # of the names of a backbone's tensors
    "vgg16": ("features.", "dense_feature_extraction.model.", "encoder.", "encoder.module."),
    "small": ("trunk.",),
    "compact": ("",),
}


def load_backbone(name: str, path: str | pathlib.Path, **settings) -> nn.Module:
    """The backbone, in eval mode, float32, on the CPU; settings as its class takes them.

    resnet50v2: GluonCV's names; vgg16: torchvision's, D2-Net's or pytorch-NetVlad's; small: a file with a trunk;
    compact: one of +pipeline=train_compact.
    InputError if the file is missing, cut off, or of another network.
    """
    network = backbone(name, **settings)
    fill_backbone(network, name, read_tensors(path)[0], path)
    return network.eval()


def fill_backbone(network: nn.Module, name: str, tensors: dict, path) -> None:
    """Put the tensors of a file into a network; InputError, naming the file, if they are of another one."""
    for nested in ("model", "state_dict"):
        tensors = tensors[nested] if isinstance(tensors.get(nested), dict) else tensors
    if hasattr(network, "load_gluon"):
        try:
            network.load_gluon(tensors)
        except (KeyError, RuntimeError, TypeError, AttributeError) as e:
            raise InputError(f"{path} is not of backbone {name} ({e}): give other weights, or another backbone") from e
        return check_numbers(network.state_dict(), path)
    wanted = {n: t.shape for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    for prefix in PREFIXES[name]:
        found = {n: tensors.get(prefix + n.removeprefix("features.")) for n in wanted}
        if all(getattr(t, "shape", None) == wanted[n] for n, t in found.items()):
            check_numbers(found, path)
            network.load_state_dict({n: t.float() for n, t in found.items()}, strict=False)
            return
    example, shape = next(iter(wanted.items()))
    raise InputError(
        f"{path} is not of backbone {name}: it needs {len(wanted)} tensors such as {example} of shape {tuple(shape)}: "
        "give other weights, or another backbone"
    )
