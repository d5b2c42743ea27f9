"""NetVLAD: a network's local vectors, summed as residuals to cluster centres (Arandjelovic et al., CVPR 2016)."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import faiss
import numpy as np

from localize.components import check_component, problems_of
from localize.kernels.threads import torch_for_photos
from localize.kernels.whitening import pca_whitening, whitened
from localize.keys import file_stamp
from localize.retrieval import photo_network as net
from localize.retrieval.base import NothingLearned
from localize.types import InputError

WEIGHTS = {"vgg16": "netvlad_pitts30k", "resnet50v2": "resnet50v2", "small": "compact"}  # what None means, by backbone
WHITENED = 10_000  # photos at most that a whitening is learned from
WHITENED_BYTES = 1 << 30  # and at most so much of their vectors, in float64


@dataclass(frozen=True, eq=False)
class Clusters:
    """What takes the place of a trained head: centres and assignment (K, C); mean (K * C,) and projection of the
    whitening, both empty without."""

    centers: np.ndarray
    assignment: np.ndarray
    mean: np.ndarray
    projection: np.ndarray


@dataclass(frozen=True)
class NetVlad:
    """The published network with its whitening; or the same layer on any backbone, its centres from the references.

    Weights of vgg16 may hold a trained head. Where there is none, centres are k-means on the references' vectors, as
    the authors begin their training (addLayers.m).
    """

    backbone: str = "vgg16"  # resnet50v2, small
    weights: str | None = None  # name or path; None: netvlad_pitts30k, resnet50v2 or compact, as the backbone
    max_edge_px: int = 1024  # larger photos are shrunk by area
    dim: int | None = None  # components of the whitening that are kept; None: all (4096 of the published one)
    num_words: int = 64  # centres, without a trained head
    num_samples: int = 50_000  # local vectors that k-means sees
    num_photos: int = 1000  # references that they come from, spread evenly
    iterations: int = 25  # of k-means
    whitening: bool = False  # learned from the references, without a trained head: one component less than there are
    stage: int = 3  # resnet50v2: the last one; 256, 512 or 1024 channels
    preprocessing: str = "caffe"  # vgg16 without a trained head: what its weights were trained with; torch
    precision: str = "auto"  # bfloat16 where the processor computes in it, else float32; stored under one key
    seed: int = 0

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "faiss", "scipy")
    needs: ClassVar[str] = "pixels"

    def __post_init__(self):
        choices = {"backbone": tuple(WEIGHTS), "stage": net.STAGES}
        choices |= {"preprocessing": net.PREPROCESSING, "precision": net.PRECISIONS}
        positive = ("max_edge_px", "dim", "num_words", "num_samples", "num_photos", "iterations")
        check_component(self, positive=positive, choices=choices)

    def preflight(self) -> list[str]:
        """What is missing, does not fit, or is no weights."""
        return problems_of(self._networks)

    def files(self) -> list[str]:
        """The weights, whose content decides the descriptor; InputError if they are missing."""
        return [net.weights_of(self, WEIGHTS)]

    def fit(self, photos: Sequence[np.ndarray]) -> Clusters | NothingLearned:
        """Centres, and the whitening if asked for; with a trained head no photo is looked at."""
        if self._networks()[1] is not None:
            return NothingLearned()
        centers, assignment = self._clusters(self._sample(photos))
        nothing = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
        found = Clusters(centers, assignment, *nothing)
        if not self.whitening:
            return found
        rows = net.evenly(len(photos), min(WHITENED, max(2, WHITENED_BYTES // (8 * max(1, centers.size)))))
        vectors = np.stack([self.describe(photos[i], found) for i in rows]) if rows else np.zeros((0, centers.size))
        return Clusters(centers, assignment, *pca_whitening(vectors, self.dim))

    def describe(self, photo: np.ndarray, learned: Clusters | NothingLearned) -> np.ndarray:
        """(K * C,) or (dim,) float32 of unit length of an RGB photo (H, W, 3) uint8; ValueError for another."""
        import torch

        from localize.networks.netvlad import NetVlad as Head

        network, head = self._networks()
        (maps,) = net.maps_of(network, photo, self.max_edge_px)
        if head is None:
            head = Head(torch.tensor(learned.assignment), torch.tensor(learned.centers)).to(maps.device)
        with torch.inference_mode(), torch_for_photos():
            vector = head(maps)[0].cpu().numpy()
        if len(getattr(learned, "mean", ())):
            vector = whitened(vector[None], learned.mean, learned.projection)[0]
        return vector / max(np.linalg.norm(vector), 1e-12)

    def _sample(self, photos: Sequence[np.ndarray]) -> np.ndarray:
        """Local vectors (N, C) of unit length, as many from each photo."""
        rng, parts = np.random.default_rng(self.seed), []
        rows = net.evenly(len(photos), self.num_photos)
        share = -(-self.num_samples // max(1, len(rows)))
        for i in rows:
            (maps,) = net.maps_of(self._networks()[0], photos[i], self.max_edge_px)
            vectors = maps[0].flatten(1).T.cpu().numpy()
            vectors = vectors[np.sort(rng.permutation(len(vectors))[:share])]
            parts.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
        return np.concatenate(parts) if parts else np.zeros((0, self._networks()[0].channels), np.float32)

    def _clusters(self, sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres and assignment (K, C); with fewer vectors than centres, the vectors themselves."""
        import torch

        from localize.networks.netvlad import sharpness

        centers = sample
        if len(sample) > self.num_words:
            options = {"niter": self.iterations, "seed": self.seed, "min_points_per_centroid": 1}
            kmeans = faiss.Kmeans(sample.shape[1], self.num_words, max_points_per_centroid=len(sample), **options)
            kmeans.train(sample)
            centers = kmeans.centroids.copy()
        directions = centers / np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-12)
        if not len(centers):
            return centers, directions
        return centers, directions * np.float32(sharpness(torch.from_numpy(sample), torch.from_numpy(centers)))

    def _networks(self):
        """(backbone, trained head or None)."""
        path = net.weights_of(self, WEIGHTS)
        if self.backbone == "vgg16":
            network, head = _trained(path, file_stamp(path), self.dim, self.precision, self.preprocessing)
        else:
            settings = net.backbone_settings(self, relu=False)
            network, head = net.backbone_network(path, self.backbone, settings, self.precision), None
        whitens = self.whitening if head is None else head.matrix is not None
        if self.dim and not whitens:
            raise InputError("retrieval.dim keeps the first components of a whitening: take retrieval.whitening=true")
        return network, head


@functools.lru_cache(maxsize=2)  # once per process; a replaced file has another stamp
def _trained(path: str, stamp: tuple | None, dim: int | None, precision: str, preprocessing: str):
    from localize.networks.photo_maps import prepared
    from localize.weights.netvlad import load_netvlad  # torch takes a second to import: only where it is used

    network, head = load_netvlad(path, preprocessing)
    network = prepared(network, precision)
    if head is not None:
        head = (head.cut(dim) if head.matrix is not None else head).to(next(network.parameters()).device)
    return network, head
