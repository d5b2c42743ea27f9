"""How well photos match by a dense CRBNet on its way: by day, by bits alone, and with a photo of the pair at night."""

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from localize.evaluate.mma import shares_within
from localize.io.images import read_photo
from localize.networks.dense_find import describe, find, looked_at
from localize.train.d2.accuracy import WITHIN_PX, mutual_nearest
from localize.train.dense.loss import DenseTraining
from localize.train.dense.views import grey
from localize.train.loop.machine import Machine
from localize.train.photos.homographies import random_homography, warp
from localize.train.photos.photometric import night
from localize.train.photos.sequences import shrunk, shrunk_sequence

LEAST = -9.0  # log odds: nearly every peak, so that the number of keypoints does not hang on the network's caution


class DenseAccuracy:
    """Mean matching accuracy at 3 px, as D2-Net's authors measure it, on shrunk photos."""

    def __init__(
        self,
        sequences: Sequence[str] = (),
        photos: Sequence[pathlib.Path] = (),
        *,
        edge_px: int = 480,
        max_keypoints: int = 1000,
    ):
        """sequences: folders of HPatches; photos: single ones, which are warped, always alike; edge_px: they are shrunk
        to this longer side, and errors counted in their pixels. InputError if a folder is no sequence."""
        self.max_keypoints = max_keypoints
        found = [shrunk_sequence(folder, edge_px) for folder in sequences]
        found += [_of_photo(path, edge_px, i) for i, path in enumerate(photos)]
        self.sequences = [_Sequence([grey(p) for p in seen], _dark(seen), moved) for seen, moved in found]

    def __call__(self, module: DenseTraining, machine: Machine) -> dict[str, float]:
        """mma: in percent, the mean over the pairs; by bits alone; with the second photo at night; mean matches."""
        with torch.autocast(machine.device, enabled=False):
            rows = [row for sequence in self.sequences for row in self._pairs(module.network, sequence)]
        mma, by_bits, at_night, matches = np.mean(rows, axis=0)
        return {"mma": 100 * mma, "mma_bits": 100 * by_bits, "mma_night": 100 * at_night, "matches": matches}

    def _pairs(self, network, of: "_Sequence"):
        xy, first = self._described(network, of.photos[0])
        for photo, darkened, homography in zip(of.photos[1:], of.dark[1:], of.homographies[1:], strict=True):
            shares = []
            there, second = self._described(network, photo)
            for a, b in ((first, second), (first.sign(), second.sign())):
                rows = mutual_nearest(a, b)
                shares.append(_right(xy[rows[0]], there[rows[1]], homography))
            count = len(rows[0])
            there, second = self._described(network, darkened)
            rows = mutual_nearest(first, second)
            yield [*shares, _right(xy[rows[0]], there[rows[1]], homography), count]

    def _described(self, network, photo: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        seen = looked_at(network, photo)
        places, _ = find(seen, self.max_keypoints, LEAST)
        return places + 0.5, torch.from_numpy(describe(network, seen, places))


@dataclass(frozen=True, eq=False)
class _Sequence:
    """Photos of one flat scene, the same at night (both grey), and the homographies from the first one to each."""

    photos: list[np.ndarray]
    dark: list[np.ndarray]
    homographies: list[np.ndarray]


def _of_photo(path: pathlib.Path, edge_px: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The same of a single photo: itself, and as five homographies show it."""
    photo, rng = shrunk(read_photo(path), edge_px)[0], np.random.default_rng([2, seed])
    how = {"rotation_deg": 20.0, "scale": (0.7, 1.4), "shear": 0.15, "perspective": 0.2}
    homographies = [random_homography(rng, photo.shape[1::-1], **how) for _ in range(5)]
    return [photo, *(warp(photo, H) for H in homographies)], [np.eye(3), *homographies]


def _dark(photos: list[np.ndarray]) -> list[np.ndarray]:
    """The photos at night, grey, always alike."""
    lit = [night(photo.astype(np.float32), np.random.default_rng(k)) for k, photo in enumerate(photos)]
    return [grey(np.rint(photo).astype(np.uint8)) for photo in lit]


def _right(first: np.ndarray, second: np.ndarray, homography: np.ndarray) -> float:
    return shares_within(first, second, homography)[WITHIN_PX - 1]
