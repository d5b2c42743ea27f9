"""A dense CRBNet from its file of weights."""

import functools
import pathlib

import torch

from localize.kernels.threads import keep_memory
from localize.networks.dense_crbnet import DenseCrbnet
from localize.networks.inference import device_for, folded
from localize.weights.tensors import filled, read_tensors


def load_dense(path: str | pathlib.Path) -> DenseCrbnet:
    """The network in eval mode, float32, on the CPU; InputError if the file is missing, cut off or of another one."""
    tensors, _ = read_tensors(path)
    return filled(DenseCrbnet(), tensors, path, "a dense CRBNet, such as +pipeline=train_dense writes").eval()


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def dense_for_photos(path: str, stamp: tuple | None, precision: str = "float32") -> DenseCrbnet:
    """The network as `dense_find.looked_at` takes it; precision: float32 or bfloat16."""
    keep_memory()
    network = folded(load_dense(path)).to(device_for(), memory_format=torch.channels_last)
    return network.in_precision(torch.bfloat16 if precision == "bfloat16" else torch.float32)
