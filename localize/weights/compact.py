"""Weights of the compact global descriptor on disk: tensors trunk.*, which a local head can share, and head.*."""

import pathlib

from localize.networks.compact import Compact
from localize.weights.tensors import filled, read_tensors


def load_compact(path: str | pathlib.Path) -> Compact:
    """The network in eval mode, float32, on the CPU; InputError if the file is missing, cut off or of another one."""
    network = filled(Compact(), read_tensors(path)[0], path, "compact, which +pipeline=train_compact wrote")
    return network.eval().requires_grad_(False)
