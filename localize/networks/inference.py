"""Patches to descriptors with a trained network: on a CPU, or on a GPU where there is one.

Measured for crbnet256_lite on one thread of a CPU with AVX-512 BF16 (benchmarks/patch_network.py): channels last and
batch norm folded into the convolutions make 1.1 times as many patches a second, bfloat16 another 1.9 times; batches of
256 patches are slower than 64 by a fifth.
"""

import copy
import itertools
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from localize.kernels.threads import on_threads, one_torch_thread

CPU_BATCH = 64
GPU_BATCH = 512  # always the same: what else is on the GPU must not change the last digits


def prepared(network: nn.Module, precision: str = "auto", device: str | None = None) -> nn.Module:
    """A copy for `describe`: batch norm folded into the convolutions, channels last, in this precision.

    precision auto: bfloat16 where the device computes in it, else float32. device: None takes the GPU if there is one.
    The patch is normalised, and the descriptor brought to unit length, in float32.
    """
    device = device_for(device)
    short = precision == "bfloat16" or (precision == "auto" and computes_bfloat16(device))
    network = folded(network)
    for part in (network.body, network.last):
        part.to(device, torch.bfloat16 if short else torch.float32, memory_format=torch.channels_last)
    network.normalise = nn.Sequential(network.normalise, _Ready(torch.bfloat16 if short else torch.float32))
    return network


def device_for(device: str | None = None) -> torch.device:
    """The device asked for; the GPU if there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def computes_bfloat16(device: str | torch.device) -> bool:
    """Whether the device has instructions for bfloat16; others emulate it, which is slower than float32."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # is_bf16_supported() counts emulation too
    info = pathlib.Path("/proc/cpuinfo")
    flags = info.read_text().split() if info.is_file() else []
    return "avx512_bf16" in flags or "amx_bf16" in flags


class _Ready(nn.Module):
    """The normalised patches as the convolutions want them."""

    def __init__(self, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.to(self.dtype, memory_format=torch.channels_last)


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose convolutions do what the batch norm after them did."""
    network = copy.deepcopy(network).eval()
    for block in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        for i, (conv, norm) in enumerate(itertools.pairwise(list(block))):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[i], block[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network


def describe(network: nn.Module, patches: np.ndarray, batch_size: int | None = None) -> np.ndarray:
    """Descriptors (N, D) float32 of unit length of patches (N, S, S), uint8 or float32 grey values.

    network: as `prepared` returns it. batch_size: None takes 64 on a CPU and 512 on a GPU.
    A CPU computes a batch on one thread, and several batches at once where it may. A patch's descriptor does not depend
    on the others: the last batch is filled up, as libraries choose their method by the size of the batch.
    """
    device = next(network.last.parameters()).device
    on_gpu = device.type == "cuda"
    batch_size = batch_size or (GPU_BATCH if on_gpu else CPU_BATCH)
    out = np.empty((len(patches), network.dim), np.float32)

    @torch.inference_mode()  # of the thread that enters it
    def work(at: int) -> None:
        part = patches[at : at + batch_size]
        batch = np.zeros((batch_size, 1, *part.shape[1:]), np.float32)
        batch[: len(part), 0] = part
        with one_torch_thread:
            found = network(torch.from_numpy(batch).to(device))
        out[at : at + batch_size] = found[: len(part)].cpu().numpy()

    with one_torch_thread:  # here too, as the last one to leave puts torch's own number back
        on_threads(work, range(0, len(patches), batch_size), 1 if on_gpu else None)
    return out
