"""What the compact global descriptor is trained on: batches of views in other light."""

import numpy as np
import PIL.Image
import torch
from torch import nn

from localize.train.compact.loss import ViewBatch
from localize.train.compact.places import SAME, UNKNOWN
from localize.train.compact.views import Views
from localize.train.photos.photometric import random_change
from localize.types import InputError


class ViewBatches:
    """The batch of a step: photos in turn, each beside one of the same place; all of them in other light.

    Everything is a function of seed and step.
    """

    def __init__(
        self,
        views: Views,
        relations: np.ndarray,
        batch_size: int,
        *,
        shrink: float = 1.0,
        change: float = 0.85,
        night: float = 0.25,
        seed: int = 0,
    ):
        """relations (N, N) of the photos; shrink: the views to this share of their size, so that the student learns to
        see in a small photo what the teacher saw in a large one; change: share of the views that get other light;
        night: of those, at night.

        InputError if there are fewer photos than half a batch.
        """
        if 2 * len(relations) < batch_size:
            raise InputError(f"{len(relations)} photos are too few for a batch of {batch_size}: take a smaller one")
        self.views, self.relations, self.pairs = views, relations, batch_size // 2
        self.change, self.night, self.seed = change, night, seed
        height, width = views.pixels.shape[1:3]
        self.size = round(shrink * width), round(shrink * height)  # px
        self.mirrors = min(2, views.versions)

    def __call__(self, step: int, device: str = "cpu") -> ViewBatch:
        """Views in other light, with what the teacher saw in them as they were."""
        rng = np.random.default_rng([self.seed, step, 2])
        photos, versions = self._drawn(step, rng)
        rows = photos * self.views.versions + versions
        order = np.argsort(rows)  # the disk is read forwards
        pixels = np.empty((len(rows), *self.size[::-1], 3), np.uint8)
        for i in order:
            pixels[i] = self._changed(self.views.pixels[rows[i]], rng)
        relations = self.relations[np.ix_(photos, photos)]
        mirrored = versions % self.mirrors
        relations = np.where((mirrored[:, None] != mirrored) & (relations == SAME), UNKNOWN, relations)
        return ViewBatch(
            torch.from_numpy(pixels.transpose(0, 3, 1, 2)).to(device).float(),
            [self._seen(torch.from_numpy(m[rows]).to(device).float()) for m in self.views.maps],
            torch.from_numpy(self.views.vectors[rows]).to(device),
            torch.from_numpy(relations).to(device),
        )

    def _drawn(self, step: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Photos and versions (2 pairs,); i and i + pairs show one place."""
        cycle, at = divmod(step, len(self.relations) // self.pairs)
        turn = np.random.default_rng([self.seed, cycle, 3]).permutation(len(self.relations))
        first = turn[at * self.pairs :][: self.pairs]
        second = [rng.choice(np.flatnonzero(self.relations[i] == SAME)) for i in first]
        mirrored = rng.integers(self.mirrors, size=self.pairs)
        each = len(range(0, self.views.versions - self.mirrors + 1, self.mirrors))
        versions = mirrored + self.mirrors * rng.integers(each, size=(2, self.pairs))
        return np.concatenate([first, second]), versions.ravel()

    def _changed(self, view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.size != view.shape[1::-1]:
            view = np.asarray(PIL.Image.fromarray(view).resize(self.size, PIL.Image.Resampling.BILINEAR))
        return random_change(view, rng, night_share=self.night) if rng.random() < self.change else view

    def _seen(self, maps: torch.Tensor) -> torch.Tensor:
        """The teacher's maps (B, K, h, w) at the cells of the student's map of the shrunk view."""
        height, width = self.views.pixels.shape[1:3]
        stride = round(width / maps.shape[3])
        sides = [(side, -(-small // stride)) for side, small in ((height, self.size[1]), (width, self.size[0]))]
        if all(-(-side // stride) == cells for side, cells in sides):
            return maps
        at = [
            torch.arange(cells, device=maps.device) * (side / small) * 2 / (known - 1) - 1
            for (side, cells), small, known in zip(sides, self.size[::-1], maps.shape[2:], strict=True)
        ]
        grid = torch.stack(torch.meshgrid(*at, indexing="ij")[::-1], 2).expand(len(maps), -1, -1, -1)
        return nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=True)
