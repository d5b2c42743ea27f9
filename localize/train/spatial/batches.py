"""The tuples of a step: drawn and mined once per epoch with the network as it is then, and told to a file."""

import pathlib

import numpy as np
import torch

from localize.io.files import writing
from localize.progress import counted
from localize.train.spatial.learner import SpatialLearner, TupleBatch, described, grouped
from localize.train.spatial.maps import TrunkMaps
from localize.train.spatial.recipe import SpatialLoop
from localize.train.spatial.sources import Photos
from localize.train.spatial.tuples import draw_pairs, mined
from localize.types import InputError


class TupleBatches:
    """The batch by step. Everything is a function of the seed, the step and, once per epoch, of the network."""

    def __init__(
        self,
        photos: Photos,
        maps: TrunkMaps,
        learner: SpatialLearner,
        loop: SpatialLoop,
        folder: pathlib.Path,
        *,
        queries: int,
        negatives: int,
        pool: int,
        progress: bool = False,
    ):
        """queries: of a step; pool: photos that negatives are chosen from; folder: of the tuples of each epoch, from
        which a training that was stopped within one goes on."""
        self.photos, self.maps, self.learner, self.loop, self.folder = photos, maps, learner, loop, folder
        self.queries, self.negatives, self.pool = queries, negatives, pool
        self.progress = progress
        self.epoch, self.tuples = -1, np.empty((0, 2 + negatives), np.int64)

    def __call__(self, step: int, device: str = "cpu") -> TupleBatch:
        """The tuples of a step, each photo in a light drawn for it."""
        epoch, at = divmod(step, self.loop.epoch_steps)
        if epoch != self.epoch:
            self.tuples = self._read(epoch) if at else self._mine(epoch)
            self.epoch = epoch
        rows = self.tuples[at * self.queries : (at + 1) * self.queries]
        rng = np.random.default_rng([self.loop.seed, step, 4])
        shown = np.stack([rows, rng.integers(self.maps.light.versions, size=rows.shape)], 2).reshape(-1, 2)
        each, which = np.unique(shown, axis=0, return_inverse=True)
        thawed = self.loop.thawed(step)
        order, groups = grouped([(self.maps.image if thawed else self.maps.kept)(*pair) for pair in each.tolist()])
        tuples = torch.from_numpy(np.argsort(order)[which.reshape(rows.shape)])
        return TupleBatch([group.to(device).float() for group in groups], tuples.to(device), thawed)

    def _mine(self, epoch: int) -> np.ndarray:
        """(T, 2 + N) int64 photos of the epoch, which begins now."""
        rng = np.random.default_rng([self.loop.seed, epoch, 3])
        pairs = draw_pairs(self.photos.pairs, self.queries * self.loop.epoch_steps, rng)
        pool = np.sort(rng.permutation(len(self.photos.paths))[: self.pool])
        needed = np.union1d(pool, pairs[:, 0])
        shown = counted(needed, f"mining for epoch {epoch}", shown=self.progress)
        vectors = described(self.learner, self.maps, shown)
        asked, known = (vectors[np.searchsorted(needed, rows)] for rows in (pairs[:, 0], pool))
        found = mined(self.photos, pairs, pool, asked, known, self.negatives)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(self._path(epoch), found)
        return found

    def _read(self, epoch: int) -> np.ndarray:
        """What was mined when the epoch began; InputError if it is gone or damaged."""
        try:
            found = np.load(self._path(epoch))
            if found.shape != (self.queries * self.loop.epoch_steps, 2 + self.negatives):
                raise ValueError(f"its shape is {found.shape}")
        except (OSError, ValueError, EOFError) as e:
            raise InputError(
                f"the tuples of this epoch, {self._path(epoch)}, are missing or damaged ({e}): delete checkpoint.pt to "
                "start again from step 0"
            ) from e
        return found

    def _path(self, epoch: int) -> pathlib.Path:
        return self.folder / f"{epoch:04}.npy"
