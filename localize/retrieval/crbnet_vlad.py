"""VLAD of the strongest keypoints of a dense CRBNet, around words that the references teach; it comes along.

Keypoints find again what the light left of a place, where a map of cells mixes it with the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import PIL.Image

from localize.components import check_component, problems_of
from localize.io.pixels import resized
from localize.kernels.threads import on_threads, torch_for_photos
from localize.kernels.whitening import pca_whitening
from localize.keys import file_stamp
from localize.retrieval import photo_network as net
from localize.retrieval.words import learned_words, vlad
from localize.weights.shipped import weights_file

LEAST = float(np.log(0.005 / 0.995))  # log odds that a pixel is a keypoint
PER_WORD = 10  # vectors that k-means must have for each word: residuals to fewer are mere rounding errors


@dataclass(frozen=True, eq=False)
class Words:
    """What the references teach. Of D vectors, d of their components, K words, and c components of the whole."""

    mean: np.ndarray  # (D,) float32 of the vectors
    directions: np.ndarray  # (d, D) along which they vary most
    centers: np.ndarray  # (K, d)
    whole_mean: np.ndarray  # (K * d,)
    whole: np.ndarray  # (c, K * d), no row where the references are all alike


@dataclass(frozen=True)
class CrbnetVlad:
    """(dim,) of unit length: the main components, among the references, of VLAD's signed square roots.

    Power law: Jegou & Chum, ECCV 2012. Components keep their variances: whitening of hundreds of values by as few
    photos makes the references that it is learned from unlike each other, and then the wrong ones are matched.
    """

    num_keypoints: int = 500  # the strongest ones
    edge_px: int = 640  # the longer side that photos are brought to
    local_dim: int = 64  # main components of the keypoints' vectors
    num_words: int = 256  # fewer of fewer keypoints than ten for each
    dim: int = 512  # main components of the whole that are kept, fewer of fewer references
    num_photos: int = 1000  # references that it learns from, spread evenly
    num_samples: int = 100_000  # of their vectors that words are learned from, as many of each photo
    iterations: int = 25  # of k-means
    weights: str = "dense_crbnet"  # the name of shipped ones, or the path of a file of +pipeline=train_dense
    seed: int = 0

    VERSION: ClassVar[int] = 1
    LIBRARIES: ClassVar[tuple] = ("torch", "faiss", "PIL")
    needs: ClassVar[str] = "pixels"

    def __post_init__(self):
        counts = ("num_keypoints", "edge_px", "local_dim", "num_words", "dim", "num_photos", "num_samples")
        check_component(self, positive=(*counts, "iterations"))

    def preflight(self) -> list[str]:
        """What is missing, or no weights."""
        return problems_of(self._network)

    def files(self) -> list[str]:
        """The weights, whose content decides the descriptor; InputError if they are missing."""
        return [weights_file(self.weights, net.SETTING, net.OTHERWISE)]

    def fit(self, photos: Sequence[np.ndarray]) -> Words:
        """Main components and words of the references' vectors, then main components of the whole."""
        rows = net.evenly(len(photos), self.num_photos)
        vectors = on_threads(lambda i: self._vectors(photos[i]).astype(np.float16), rows)
        share = -(-self.num_samples // max(1, len(rows)))
        sample = np.concatenate([of[net.evenly(len(of), share)] for of in vectors]).astype(np.float32)
        mean, directions = pca_whitening(sample, self.local_dim, spread=0)
        reduced = (sample - mean) @ directions.T
        number = max(1, min(self.num_words, len(sample) // PER_WORD))
        centers = learned_words(reduced, number, iterations=self.iterations, seed=self.seed)
        nothing = np.zeros(0, np.float32), np.zeros((0, centers.size), np.float32)
        learned = Words(mean, directions, centers, *nothing)
        wholes = np.stack([self._whole(of.astype(np.float32), learned) for of in vectors])
        return Words(mean, directions, centers, *pca_whitening(wholes, self.dim, spread=0))

    def describe(self, photo: np.ndarray, learned: Words) -> np.ndarray:
        """(dim,) float32 of unit length of an RGB photo (H, W, 3) or a grey one (H, W), uint8; zeros if nothing is
        found in it."""
        vectors = self._vectors(photo)
        if not len(vectors):
            return np.zeros(len(learned.whole) or learned.centers.size, np.float32)
        whole = self._whole(vectors, learned)
        if len(learned.whole):
            whole = np.asarray(learned.whole) @ (whole - learned.whole_mean)
        return whole / max(float(np.linalg.norm(whole)), 1e-12)

    def _vectors(self, photo: np.ndarray) -> np.ndarray:
        """(N, 256) float32 of unit length, of the strongest keypoints."""
        from localize.networks.dense_find import describe, find, looked_at  # torch takes a second: only where used

        if photo.dtype != np.uint8 or photo.ndim not in (2, 3):
            raise ValueError(f"{photo.shape=} {photo.dtype=}, but expected (H, W, 3) or (H, W) uint8")
        if not photo.size:
            return np.zeros((0, self._network().dim), np.float32)
        grey = photo if photo.ndim == 2 else np.asarray(PIL.Image.fromarray(photo).convert("L"))
        small, _ = resized(grey, self.edge_px / max(grey.shape))
        network = self._network()
        with torch_for_photos():
            seen = looked_at(network, small)
            places, _ = find(seen, self.num_keypoints, LEAST)
            return describe(network, seen, places)

    def _whole(self, vectors: np.ndarray, learned: Words) -> np.ndarray:
        """(K * d,) float32 of unit length, before its main components are taken."""
        found = vlad((vectors - learned.mean) @ np.asarray(learned.directions).T, np.asarray(learned.centers))
        return np.sign(found) * np.sqrt(np.abs(found))

    def _network(self):
        from localize.weights.dense_crbnet import dense_for_photos

        (path,) = self.files()
        return dense_for_photos(path, file_stamp(path))
