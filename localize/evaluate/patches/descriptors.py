"""Descriptors of patches that can be compared: RootSIFT, TFeat, and trained networks with real values or bits."""

import functools
import pathlib
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch

from localize.components import check_component
from localize.io.benchmarks.phototour import SIDE
from localize.kernels.patches import halved
from localize.kernels.sift_descriptor import describe
from localize.networks import inference
from localize.types import InputError
from localize.weights.patches import load_tfeat, load_weights

BATCH = 64  # patches that a network sees at once; more is slower on a CPU


class PatchDescriptor(Protocol):
    """What a patch is compared by."""

    distance: str  # euclidean | hamming

    def describe(self, patches: np.ndarray) -> np.ndarray:
        """(N, D) float32, or bool for the Hamming distance, of patches (N, 64, 64) uint8."""
        ...


@dataclass(frozen=True)
class RootSift:
    """RootSIFT of the whole patch, upright, 128-D.

    SIFT looks at a square of 15 sigma: 4 x 4 bins of 3 sigma, and half a bin around them. With sigma = 64 / 15 px
    that square is the patch. 64 / 13 px, the scale at which a patch is cut, would lose the outer votes: on real photos
    (29,676 patches of six photos) FPR95 was then 4.3 %, it is 2.3 % so, and 2.0 % in the photos themselves.
    """

    sigma_px: float = SIDE / 15

    VERSION: ClassVar[int] = 1
    distance: ClassVar[str] = "euclidean"

    def __post_init__(self):
        check_component(self, positive=("sigma_px",))

    def describe(self, patches: np.ndarray) -> np.ndarray:
        """(N, 128) float32 of unit length, or zeros where a patch shows nothing."""
        center, sigma, upright = np.full((1, 2), SIDE / 2), np.array([self.sigma_px]), np.zeros(1)
        rows = [describe(patch, center, sigma, upright, 0) for patch in _checked(patches)]
        return np.concatenate([np.zeros((0, 128), np.float32), *rows])


@dataclass(frozen=True)
class TFeat:
    """TFeat (Balntas et al., BMVC 2016), 128-D; `weights` is the file its authors published for one training set."""

    weights: str

    VERSION: ClassVar[int] = 1
    distance: ClassVar[str] = "euclidean"

    @property
    def network(self) -> torch.nn.Module:
        """The network, loaded once; InputError if the file is missing or of something else."""
        return _loaded(load_tfeat, self.weights)

    def describe(self, patches: np.ndarray) -> np.ndarray:
        """(N, 128) float32."""
        return _forward(self.network, patches)


@dataclass(frozen=True)
class PatchNetwork:
    """A trained patch network as features use it, real-valued: unit length."""

    weights: str  # file

    VERSION: ClassVar[int] = 1
    distance: ClassVar[str] = "euclidean"

    @property
    def network(self) -> torch.nn.Module:
        """The network, loaded once; InputError if the file is missing or of something else."""
        return _loaded(_trained, self.weights)

    def describe(self, patches: np.ndarray) -> np.ndarray:
        """(N, D) float32."""
        return inference.describe(self.network, halved(_checked(patches)))


@dataclass(frozen=True, eq=False)
class RotatedNetwork(PatchNetwork):
    """A network whose values are rotated so that their signs lose little, and centred: no longer of unit length."""

    rotation: np.ndarray  # (D, K) float32
    thresholds: np.ndarray  # (K,) float32

    def describe(self, patches: np.ndarray) -> np.ndarray:
        """(N, K) float32."""
        return super().describe(patches) @ self.rotation - self.thresholds


def pair_distances(first: np.ndarray, second: np.ndarray, distance: str) -> np.ndarray:
    """(P,) between rows i of two arrays (P, D): euclidean float32, or hamming, the number of bits that differ."""
    if distance == "hamming":
        return np.count_nonzero(first != second, axis=1)
    return np.linalg.norm(first - second, axis=1)


def distance_matrix(first: np.ndarray, second: np.ndarray, distance: str) -> np.ndarray:
    """(N, M) float32 between all rows of (N, D) and (M, D); Hamming distances are whole numbers, exact."""
    if distance == "hamming":
        a, b = (2 * x.astype(np.float32) - 1 for x in (first, second))
        return (a.shape[1] - a @ b.T) / 2
    a, b = (x.astype(np.float32, copy=False) for x in (first, second))
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))


def _checked(patches: np.ndarray) -> np.ndarray:
    if patches.shape[1:] != (SIDE, SIDE) or patches.dtype != np.uint8:
        raise ValueError(f"patches are {patches.dtype} {patches.shape}, but expected uint8 (N, {SIDE}, {SIDE})")
    return patches


def _forward(network: torch.nn.Module, patches: np.ndarray) -> np.ndarray:
    """(N, D) float32; of no patches the width is asked of one."""
    if not len(_checked(patches)):
        return _forward(network, np.zeros((1, SIDE, SIDE), np.uint8))[:0]
    parts = []
    with torch.inference_mode():
        for i in range(0, len(patches), BATCH):
            small = torch.from_numpy(halved(patches[i : i + BATCH])).float()
            parts.append(network(small[:, None]).float().numpy())
    return np.concatenate(parts)


def _loaded(load, weights: str) -> torch.nn.Module:
    """What `load(weights)` gives, kept until the file changes."""
    path = pathlib.Path(weights)
    if not path.is_file():
        raise InputError(f"weights file {path} is missing: give the path of one")
    stat = path.stat()
    return _kept(load, str(path.resolve()), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=8)
def _kept(load, path: str, changed_ns: int, size: int) -> torch.nn.Module:
    return load(path)


def _trained(path: str) -> torch.nn.Module:
    return inference.prepared(load_weights(path)[0])
