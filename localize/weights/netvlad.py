"""Trained NetVLAD networks as others publish them: the authors' Matlab file and checkpoints of pytorch-NetVlad."""

import pathlib
import subprocess
import sys
import zlib

import numpy as np
import scipy.io
import torch
from scipy.io.matlab import MatReadError
from torch import nn

from localize.keys import sha256_of
from localize.networks.netvlad import NetVlad
from localize.networks.vgg import VGG16, Normalise
from localize.types import InputError
from localize.weights.backbones import fill_backbone
from localize.weights.manifest import read_manifest
from localize.weights.tensors import check_numbers, read_tensors

WRONG = KeyError, AttributeError, IndexError, TypeError, ValueError, NotImplementedError  # of another file
DAMAGED = OSError, MatReadError, zlib.error, MemoryError, UnboundLocalError  # scipy's own fault
MEMORY = 4, 2 << 30  # times the file's size, and bytes beyond, that reading it may take
SECONDS = 300
READ = """
import resource, sys, scipy.io
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
scipy.io.loadmat(sys.argv[1], struct_as_record=False)
"""
VLAD, WPCA = 30, 33  # layers of the authors' network
HINT = "give VGG16-NetVLAD-Pitts30K.mat (Pitts30K_struct.mat), or a checkpoint of pytorch-NetVlad"


def load_netvlad(path: str | pathlib.Path, preprocessing: str = "caffe") -> tuple[nn.Module, NetVlad | None]:
    """(VGG16 up to conv5_3 without ReLU, the head) in eval mode, float32, on the CPU; no head if the file has none.

    preprocessing: of a VGG16 without a head; a trained head says it itself.
    InputError if the file is missing, cut off, or something else.
    """
    path = pathlib.Path(path)
    if path.suffix == ".mat":
        return _of_matlab(path)
    tensors = read_tensors(path)[0]
    tensors = tensors["state_dict"] if isinstance(tensors.get("state_dict"), dict) else tensors
    tensors = {name.replace("module.", ""): tensor for name, tensor in tensors.items()}
    trained = any(name.startswith("pool.") for name in tensors)
    network = VGG16(preprocessing="torch" if trained else preprocessing)
    fill_backbone(network, "vgg16", tensors, path)
    return network.eval(), _of_checkpoint(tensors, path) if trained else None


def _of_checkpoint(tensors: dict, path: pathlib.Path) -> NetVlad:
    """Clusters first; `pool.conv.bias` is there in the variant vladv2 only."""
    lacking = [name for name in ("pool.conv.weight", "pool.centroids") if name not in tensors]
    if lacking:
        raise InputError(f"{path} has no {' and no '.join(lacking)}: {HINT}")
    centers = tensors["pool.centroids"]
    check_numbers({name: t for name, t in tensors.items() if name.startswith("pool.")}, path)
    return NetVlad(tensors["pool.conv.weight"].flatten(1), centers, bias=tensors.get("pool.conv.bias")).eval()


def _of_matlab(path: pathlib.Path) -> tuple[nn.Module, NetVlad]:
    if not path.is_file():
        raise InputError(f"weights file {path} is missing")
    try:
        check_loads(path)
        net = scipy.io.loadmat(path, struct_as_record=False, squeeze_me=True)["net"]
        layers, mean = net.layers, np.asarray(net.meta.normalization.averageImage, np.float64)
        network = VGG16()
        convolutions = [i for i, layer in enumerate(network.features) if isinstance(layer, nn.Conv2d)]
        for i in convolutions:
            _fill(network.features[i], *layers[i].weights, first=i == 0)
        assignment, offsets = (_tensor(w) for w in layers[VLAD].weights)  # (D, K); the offsets are minus the centres
        matrix, shift = (_tensor(w) for w in layers[WPCA].weights)
        head = NetVlad(
            assignment.T.contiguous(),
            -offsets.T.contiguous(),
            whitening=(matrix.reshape(-1, len(shift)).T.contiguous(), shift),
            clusters_last=True,
        )
    except (*WRONG, *DAMAGED) as e:
        raise InputError(f"{path} is cut off or no NetVLAD network as a plain struct ({e}): {HINT}") from e
    if head.matrix.shape[1] != head.centers.numel() or head.centers.shape[1] != network.channels:
        raise InputError(f"the layers of {path} do not fit each other: {HINT}")
    check_numbers(network.state_dict() | head.state_dict(), path)
    network.normalise = Normalise("caffe", tuple(mean.reshape(-1, 3)[0].tolist()))
    return network.eval(), head.eval()


def check_loads(path: pathlib.Path) -> None:
    """ValueError for a Matlab file that crashes its reader or takes too much: another process tries it first.

    scipy's reader trusts the numbers in a file, and a flipped bit may end the process. Not asked of a published file.
    """
    if any(entry.size == path.stat().st_size and entry.sha256 == sha256_of(path) for entry in read_manifest().values()):
        return
    limit = MEMORY[0] * path.stat().st_size + MEMORY[1]
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path), str(limit)], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as e:
        raise ValueError(f"reading it took more than {SECONDS} s") from e
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError("its reader crashed" if done.returncode < 0 or not lines else lines[-1][:200])


def _fill(convolution: nn.Conv2d, weights: np.ndarray, bias: np.ndarray, *, first: bool) -> None:
    """Rows, columns, inputs, outputs to torch's order. The first one sees RGB, but ours hands it BGR, as Caffe."""
    weights = _tensor(weights).permute(3, 2, 0, 1)
    weights = weights.flip(1) if first else weights
    if weights.shape != convolution.weight.shape:
        raise ValueError(f"weights of shape {tuple(weights.shape)} in place of {tuple(convolution.weight.shape)}")
    convolution.weight.data, convolution.bias.data = weights.contiguous(), _tensor(bias).reshape(-1)


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
