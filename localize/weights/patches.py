"""Weights of a patch network in one file: safetensors, half precision, with what they are and were made from."""

import pathlib

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from localize.networks.patches import NAMES, TFeat, patch_network
from localize.types import InputError
from localize.weights.tensors import check_numbers, filled, read_tensors, write_tensors


def save_weights(path: str | pathlib.Path, module: nn.Module, network: str, metadata: dict[str, str]) -> None:
    """Write the weights of the network of this name, whole or not at all; ValueError if some are no numbers."""
    write_tensors(path, module, {**metadata, "network": network})


def load_weights(path: str | pathlib.Path) -> tuple[nn.Module, dict[str, str]]:
    """(network in eval mode, float32, on the CPU; metadata) from what `save_weights` wrote.

    InputError if the file is missing, cut off, or holds something else.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"weights file {path} is missing: give a file that +pipeline=train_crbnet wrote")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except SafetensorError as e:
        raise InputError(f"{path} is cut off or no weights file ({e}): copy or train it again") from e
    network = metadata.get("network")
    if network not in NAMES:
        said = f"is of network {network!r}" if network else "does not say of which network it is"
        raise InputError(f"{path} {said}: give weights of one of {', '.join(NAMES)}")
    with torch.device("meta"):  # without drawing random weights
        module = patch_network(network)
    wanted = {name: tensor.shape for name, tensor in module.state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in tensors.items()}:
        raise InputError(f"{path} says that it is of {network}, but its tensors are others: copy or train it again")
    check_numbers(tensors, path)
    float32 = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    module.load_state_dict(float32, assign=True)
    return module.eval().requires_grad_(), metadata


def load_tfeat(path: str | pathlib.Path) -> nn.Module:
    """TFeat in eval mode from its authors' file of one training set; InputError if it holds something else."""
    return filled(TFeat(), read_tensors(path)[0], path, "TFeat, such as tfeat-liberty.params").eval()
