"""The trunk that the package's small networks have in common."""

import pathlib

import torch

from localize.networks.inference import device_for, folded
from localize.networks.small import Float32Trunk, SmallTrunk
from localize.weights.tensors import filled, read_tensors

PREFIX = "trunk."  # of its tensors in a file


def trunk_tensors(path: str | pathlib.Path) -> dict[str, torch.Tensor]:
    """The tensors of a file whose names begin with trunk., under these names."""
    found = read_tensors(path)[0]
    return {n: t for n, t in found.items() if n.startswith(PREFIX) and not n.endswith("num_batches_tracked")}


def load_trunk(path: str) -> Float32Trunk:
    """The trunk in a file of weights, ready for photos, on the GPU if there is one.

    InputError if the file is missing, cut off, or has no such trunk.
    """
    tensors = {n.removeprefix(PREFIX): t for n, t in trunk_tensors(path).items()}
    trunk = folded(filled(SmallTrunk(), tensors, path, "a small network of ours, with its trunk"))
    return Float32Trunk(trunk.to(device_for(), memory_format=torch.channels_last).requires_grad_(False))
