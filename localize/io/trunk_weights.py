"""The trunk that the package's small networks have in common, in memory once per process."""

import functools

import torch

from localize.io.tensors import filled, read_tensors
from localize.networks.inference import folded
from localize.networks.small import SharedTrunk, SmallTrunk

PREFIX = "trunk."  # of its tensors in a file


@functools.lru_cache(maxsize=2)
def shared_trunk(path: str, stamp: tuple | None) -> SharedTrunk:
    """The trunk in a file of weights, ready for photos, on the GPU if there is one. stamp: keys.file_stamp(path), as a
    replaced file is another trunk. InputError if the file is missing, cut off, or has no such trunk."""
    tensors = {n.removeprefix(PREFIX): t for n, t in read_tensors(path)[0].items() if n.startswith(PREFIX)}
    trunk = folded(filled(SmallTrunk(), tensors, path, "a small network of ours, with its trunk"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return SharedTrunk(trunk.to(device, memory_format=torch.channels_last).requires_grad_(False))
