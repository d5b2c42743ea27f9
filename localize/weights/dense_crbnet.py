"""A dense CRBNet from its file of weights."""

import pathlib

from localize.networks.dense_crbnet import DenseCrbnet
from localize.weights.tensors import filled, read_tensors


def load_dense(path: str | pathlib.Path) -> DenseCrbnet:
    """The network in eval mode, float32, on the CPU; InputError if the file is missing, cut off or of another one."""
    tensors, _ = read_tensors(path)
    return filled(DenseCrbnet(), tensors, path, "a dense CRBNet, such as +pipeline=train_dense writes").eval()
